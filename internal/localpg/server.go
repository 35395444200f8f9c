package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	host = "127.0.0.1"
	// startTimeout bounds a start, recovery after a crash included.
	startTimeout = 2 * time.Minute

	tooManyConnections = "53300" // SQLSTATE: busy, but well
)

// launch brings up the server of o.Dir, whose lock the caller holds.
func (find locator) launch(ctx context.Context, o Options, life lifetime) (*Cluster, error) {
	major, err := dataMajor(o.data())
	if err != nil {
		return nil, err
	}
	bin, err := find(ctx, o, major)
	if err != nil {
		return nil, err
	}
	as, err := serverAccount(o.data())
	if err != nil {
		return nil, err
	}
	if err := clearOut(o); err != nil {
		return nil, err
	}
	if major == 0 {
		if err := initialise(ctx, o, bin, as); err != nil {
			return nil, err
		}
	}
	secret, err := readPassword(o.Dir)
	if err != nil {
		return nil, err
	}

	port, err := readPort(o.Dir)
	if err != nil || !free(port) {
		port = 0
	}
	for attempt := 1; ; attempt++ {
		if port == 0 {
			if port, err = freePort(); err != nil {
				return nil, err
			}
		}
		c := &Cluster{password: secret, port: port}
		err := c.run(ctx, o, bin, as, life)
		if err == nil {
			if err = writePort(o.Dir, port); err == nil {
				return c, nil
			}
			err = errors.Join(err, c.server.stop())
		}
		var exit *exitError
		switch {
		case attempt == 10 || !errors.As(err, &exit):
			return nil, err
		case exit.says("could not create any TCP/IP sockets"):
			port = 0 // somebody was faster
		case exit.says("shared memory block"):
			// Processes of a killed server are still about to notice.
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(200 * time.Millisecond):
			}
		default:
			return nil, err
		}
	}
}

// run starts the server and waits until it answers. On failure nothing is left
// running.
func (c *Cluster) run(ctx context.Context, o Options, bin binaries, as account, life lifetime) error {
	path := filepath.Join(o.Dir, "postgres.log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	defer log.Close()
	// The server must outlive ctx, which is about the start only.
	cmd, err := as.command(context.WithoutCancel(ctx), life, o.Dir, filepath.Join(bin.dir, "postgres"), o.arguments(c.port)...)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	if c.exited, err = spawn(cmd); err != nil {
		return startError(err, o.Dir)
	}
	c.server = postmaster{pid: cmd.Process.Pid, data: o.data(), exited: c.exited}

	err = c.answers(ctx, startTimeout)
	if errors.Is(err, errNotRunning) {
		text, _ := os.ReadFile(path)
		return &exitError{log: path, tail: lastLines(text, 15)}
	}
	if err != nil {
		return errors.Join(err, c.server.stop())
	}
	return nil
}

// answers waits until the server takes connections. SCRAM lets it prove, too,
// that it knows the password: what answers is our cluster.
func (c *Cluster) answers(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.URL("postgres")+"&connect_timeout=5")
		if err == nil {
			return conn.Close(ctx)
		}
		if pgErr := new(pgconn.PgError); errors.As(err, &pgErr) && pgErr.Code == tooManyConnections {
			return nil
		}
		if !c.server.running() {
			return errNotRunning
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("localpg: wait for PostgreSQL: %w; last: %w", ctx.Err(), err)
		case <-time.After(pollInterval):
		}
	}
}

// arguments are the server's. Settings on the command line, rather than in a
// file, hold for one run and need no upkeep.
func (o Options) arguments(port int) []string {
	settings := []string{
		"listen_addresses=" + host,
		"port=" + strconv.Itoa(port),
		"unix_socket_directories=", // their paths must be short, ours may not be
		"max_connections=" + strconv.Itoa(o.MaxConnections),
		"shared_buffers=128MB",
		"timezone=UTC",
		"log_timezone=UTC",
		"jit=off",                           // compiling costs more than small queries take
		"max_parallel_workers_per_gather=0", // and so do workers, which need a large /dev/shm
		"log_min_error_statement=panic",     // statements may hold secrets
	}
	if !o.Durable {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off",
			"wal_level=minimal", "max_wal_senders=0")
	}
	args := []string{"-D", o.data()}
	for _, s := range append(settings, o.Settings...) {
		args = append(args, "-c", s)
	}
	return args
}

// exitError is a server that ended instead of starting.
type exitError struct{ log, tail string }

func (e *exitError) Error() string {
	return fmt.Sprintf("localpg: PostgreSQL did not start; the end of %s says:\n%s", e.log, e.tail)
}

func (e *exitError) says(phrase string) bool { return strings.Contains(e.tail, phrase) }
