package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/localpg"
	"github.com/authservice/authservice/internal/pgdb"
)

// Names in dev's private cluster.
const (
	devDatabase    = "authservice"
	devOwner       = "authservice_owner" // migrates
	devRuntimeRole = "authservice"       // the service itself
)

var errPostgresGone = errors.New("the private PostgreSQL has stopped by itself; its log is below AUTH_DEV_DIR")

// devDB is the database of dev: on a private cluster, or the one of DATABASE_URL.
type devDB struct {
	cluster    *localpg.Cluster // nil with DATABASE_URL
	state      *devState
	ownerURL   string
	runtimeURL string
}

// openDevDatabase starts a private cluster, unless it is given a database's URL.
func openDevDatabase(ctx context.Context, given string, state *devState, progress func(string)) (*devDB, error) {
	if given != "" {
		progress("using the database of DATABASE_URL instead of a private PostgreSQL")
		return &devDB{ownerURL: given, runtimeURL: given}, nil
	}
	progress("starting PostgreSQL in " + state.dir)
	cluster, err := startCluster(ctx, localpg.Options{
		Dir: filepath.Join(state.dir, "postgresql"), Durable: true, MaxConnections: 200, Progress: progress,
	})
	var locked *localpg.LockedError
	if errors.As(err, &locked) {
		return nil, fmt.Errorf("another authservice dev (process %d) runs on %s; stop it, or choose another AUTH_DEV_DIR", locked.PID, state.dir)
	}
	if err != nil {
		return nil, err
	}
	db := &devDB{
		cluster: cluster, state: state,
		ownerURL:   as(cluster.URL(devDatabase), devOwner, state.OwnerPassword),
		runtimeURL: as(cluster.URL(devDatabase), devRuntimeRole, state.RuntimePassword),
	}
	if err := db.provisionOwner(ctx); err != nil {
		db.close()
		return nil, err
	}
	return db, nil
}

// startCluster gives another dev on the directory a moment, in case it is just stopping.
func startCluster(ctx context.Context, o localpg.Options) (*localpg.Cluster, error) {
	for deadline := time.Now().Add(2 * time.Second); ; {
		cluster, err := localpg.Start(ctx, o)
		var locked *localpg.LockedError
		if !errors.As(err, &locked) || time.Now().After(deadline) {
			return cluster, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// provisionOwner makes the database and the role that owns it, where they are missing.
func (db *devDB) provisionOwner(ctx context.Context) error {
	return db.asSuperuser(ctx, func(conn *pgx.Conn) error {
		if err := ensureRole(ctx, conn, devOwner, db.state.OwnerPassword, "CREATEROLE"); err != nil {
			return err
		}
		var exists bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", devDatabase).Scan(&exists); err != nil || exists {
			return err
		}
		_, err := conn.Exec(ctx, "CREATE DATABASE "+devDatabase+" OWNER "+devOwner)
		return err
	})
}

// migrate applies the migrations, which also make the role that holds the
// service's rights, and gives those to the role with which it logs in.
func (db *devDB) migrate(ctx context.Context) error {
	if err := pgdb.Migrate(ctx, db.ownerURL, io.Discard); err != nil || db.cluster == nil {
		return err
	}
	return db.asSuperuser(ctx, func(conn *pgx.Conn) error {
		if err := ensureRole(ctx, conn, devRuntimeRole, db.state.RuntimePassword, ""); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, "GRANT authservice_runtime TO "+devRuntimeRole)
		return err
	})
}

func (db *devDB) asSuperuser(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, db.cluster.URL("postgres"))
	if err != nil {
		return fmt.Errorf("reaching the private PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := f(conn); err != nil {
		return fmt.Errorf("preparing the private PostgreSQL: %w", err)
	}
	return nil
}

func ensureRole(ctx context.Context, conn *pgx.Conn, name, password, rights string) error {
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)", name).Scan(&exists); err != nil {
		return err
	}
	verb := "CREATE"
	if exists {
		verb = "ALTER"
	}
	// The password is letters and digits of our own making.
	_, err := conn.Exec(ctx, fmt.Sprintf("%s ROLE %s LOGIN %s PASSWORD '%s'", verb, name, rights, password))
	return err
}

// whileRunning ends the context when the private PostgreSQL ends by itself.
func (db *devDB) whileRunning(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if db.cluster != nil {
		go func() {
			select {
			case <-db.cluster.Exited():
				cancel(errPostgresGone)
			case <-ctx.Done():
			}
		}()
	}
	return ctx, func() { cancel(context.Canceled) }
}

func (db *devDB) close() {
	if db.cluster != nil {
		_ = db.cluster.Stop() // it waits; what it could complain about the next start mends
	}
}

// as returns a database URL with another login.
func as(databaseURL, user, password string) string {
	u, err := url.Parse(databaseURL)
	if err != nil {
		panic(err) // made by localpg
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}
