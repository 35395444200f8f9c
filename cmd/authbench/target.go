package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// target is what is measured.
type target struct {
	endpoint endpoint
	apiKey   string
	keyID    uuid.UUID
	database *pgx.Conn // as the owner of the tables; nil when it is not known
	// databaseURL is its URL.
	databaseURL string
	meter       meter
	durable     bool
	version     string      // of PostgreSQL
	dev         *devService // nil for a deployment
}

// openTarget connects to the deployment that the flags name, or starts one.
func openTarget(ctx context.Context, o options, say func(string)) (*target, error) {
	t := &target{apiKey: o.apiKey, meter: meter{service: o.servicePID}}
	base, databaseURL := o.url, o.databaseURL
	if base == "" {
		var err error
		if t.dev, err = startDev(ctx, o.binary, o.dir, say); err != nil {
			return nil, err
		}
		base, databaseURL = t.use(t.dev)
	}
	if err := t.open(ctx, base, databaseURL); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *target) use(d *devService) (base, databaseURL string) {
	t.apiKey, t.meter.service = d.APIKey, d.pid
	return d.BaseURL, d.OwnerDatabaseURL
}

func (t *target) open(ctx context.Context, base, databaseURL string) (err error) {
	if t.endpoint, err = parseEndpoint(base); err != nil {
		return err
	}
	if t.keyID, err = keyID(t.apiKey); err != nil {
		return err
	}
	if databaseURL != "" {
		err = t.openDatabase(ctx, databaseURL)
	}
	return err
}

// restart stops our own service and starts it again on the same data. It returns
// how long the start took.
func (t *target) restart(ctx context.Context) (time.Duration, error) {
	t.closeDatabase()
	t.dev.stop()
	begin := time.Now()
	if err := t.dev.start(ctx); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	base, databaseURL := t.use(t.dev)
	return took, t.open(ctx, base, databaseURL)
}

func (t *target) closeDatabase() {
	if t.database != nil {
		_ = t.database.Close(context.Background())
		t.database = nil
	}
}

func (t *target) close() {
	t.closeDatabase()
	if t.dev != nil {
		t.dev.remove()
	}
}

// durability says on what the service runs.
func (t *target) durability() string {
	switch {
	case t.database == nil:
		return "database unknown"
	case t.durable:
		return "PostgreSQL " + t.version + " with fsync and synchronous_commit on"
	}
	return "PostgreSQL " + t.version + " which may LOSE what is answered (fsync or synchronous_commit off)"
}

// keyID is the id in an API key.
func keyID(key string) (uuid.UUID, error) {
	parts := strings.Split(key, "_")
	if len(parts) == 3 && parts[0] == "ask" {
		if raw, err := hex.DecodeString(parts[1]); err == nil && len(raw) == 16 {
			return uuid.UUID(raw), nil
		}
	}
	return uuid.Nil, errors.New("--api-key is no key of Auth Service (ask_…)")
}

// dropFloor removes the tables of a floor, also when ctx has ended, which closes
// the connection that it was used with.
func (t *target) dropFloor() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, t.databaseURL)
	if err == nil {
		_, _ = conn.Exec(ctx, "DROP SCHEMA IF EXISTS authbench CASCADE")
		_ = conn.Close(ctx)
	}
}

func (t *target) openDatabase(ctx context.Context, url string) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return errors.New("--database-url is no URL of a PostgreSQL database") // the parser's message may hold the password
	}
	config.RuntimeParams["application_name"] = "authbench"
	t.databaseURL = url
	if t.database, err = pgx.ConnectConfig(ctx, config); err != nil {
		return fmt.Errorf("connecting to the database: %w", err)
	}
	var fsync, commit string
	var pid int
	err = t.database.QueryRow(ctx, `
		SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'), pg_backend_pid()`,
	).Scan(&t.version, &fsync, &commit, &pid)
	t.durable = fsync == "on" && commit != "off"
	t.meter.postmaster = parentOf(pid, "postgres")
	return err
}
