package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/localpg"
	"github.com/authservice/authservice/internal/pgdb"
)

// The database of a Postgres, and the login of the service on it.
const (
	database    = "authservice"
	runtimeRole = "authservice"
	password    = "authservice"
)

// Postgres is a server of one test, with a migrated database that is safe on
// disk: what was committed survives a kill.
type Postgres struct {
	t       testing.TB
	options localpg.Options
	cluster *localpg.Cluster
	frozen  []int // processes that stand still
}

// StartPostgres starts one, until the test ends. Settings are PostgreSQL's, such as
// "max_connections=20".
func StartPostgres(t testing.TB, settings ...string) *Postgres {
	t.Helper()
	p := &Postgres{t: t, options: localpg.Options{Dir: t.TempDir(), Durable: true, Settings: settings}}
	p.Start()
	t.Cleanup(func() {
		p.Thaw()
		_ = p.cluster.Stop()
	})
	p.execute("postgres", "CREATE DATABASE "+database)
	require.NoError(t, pgdb.Migrate(t.Context(), p.cluster.URL(database), io.Discard))
	p.execute(database, "CREATE ROLE "+runtimeRole+" LOGIN PASSWORD '"+password+"' IN ROLE authservice_runtime")
	return p
}

// StartStandby starts a server that replicates this one, until the test ends. Both
// are reached with the same logins.
func (p *Postgres) StartStandby() *Postgres {
	p.t.Helper()
	s := &Postgres{t: p.t, options: localpg.Options{Dir: p.t.TempDir(), Durable: true}}
	u, err := url.Parse(p.cluster.URL(database))
	require.NoError(p.t, err)
	secret, _ := u.User.Password()
	s.options.Settings = []string{fmt.Sprintf("primary_conninfo=host=%s port=%s user=%s password=%s", u.Hostname(), u.Port(), u.User.Username(), secret)}
	// A server that is down can be copied as it is, which needs no program of PostgreSQL's.
	p.Stop()
	for _, name := range []string{"data", "password"} {
		out, err := exec.CommandContext(p.t.Context(), "cp", "-a", filepath.Join(p.options.Dir, name), s.options.Dir).CombinedOutput() //nolint:gosec // of the test's own
		require.NoError(p.t, err, string(out))
	}
	p.Start()
	s.write("standby.signal", nil)
	s.Start()
	p.t.Cleanup(func() {
		s.Thaw()
		_ = s.cluster.Stop()
	})
	return s
}

// Addr is where the server listens, the same after every start.
func (p *Postgres) Addr() string {
	p.t.Helper()
	u, err := url.Parse(p.cluster.URL(database))
	require.NoError(p.t, err)
	return u.Host
}

// Dir is the server's data directory.
func (p *Postgres) Dir() string { return filepath.Join(p.options.Dir, "data") }

// URL is the service's, for a server that is reached at address.
func (p *Postgres) URL(address string) string { return p.URLOf(address, database) }

// URLOf is URL for another database.
func (p *Postgres) URLOf(address, name string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(runtimeRole, password), Host: address, Path: name, RawQuery: "sslmode=disable",
	}).String()
}

// AdminURL is the superuser's, and no network is in the way.
func (p *Postgres) AdminURL() string { return p.cluster.URL(database) }

// Superuser opens a connection that no network is in the way of.
func (p *Postgres) Superuser() *pgx.Conn {
	p.t.Helper()
	conn, err := pgx.Connect(context.Background(), p.cluster.URL(database))
	require.NoError(p.t, err)
	p.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Kill is kill -9 of the server's main process; the others follow it.
func (p *Postgres) Kill() { p.t.Helper(); p.end(syscall.SIGKILL) }

// StopAtOnce is a shutdown in immediate mode: nobody is waited for, and nothing
// is written any more; the next start recovers.
func (p *Postgres) StopAtOnce() { p.t.Helper(); p.end(syscall.SIGQUIT) }

func (p *Postgres) end(s syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, syscall.Kill(p.cluster.PID(), s))
	<-p.cluster.Exited()
	_ = p.cluster.Stop() // only lets go of the directory
}

// Stop stops the server as its operator does: sessions are ended, nothing is lost.
func (p *Postgres) Stop() { p.t.Helper(); require.NoError(p.t, p.cluster.Stop()) }

// Start starts it again after Kill or Stop.
func (p *Postgres) Start() {
	p.t.Helper()
	var err error
	p.cluster, err = localpg.Start(p.t.Context(), p.options)
	require.NoError(p.t, err)
}

// Encrypt gives the server a certificate, in PEM, and restarts it.
func (p *Postgres) Encrypt(cert, key []byte) {
	p.t.Helper()
	p.Stop()
	p.write("server.crt", cert)
	p.write("server.key", key)
	p.options.Settings = append(p.options.Settings, "ssl=on")
	p.Start()
}

// write puts a file into the data directory.
func (p *Postgres) write(name string, content []byte) {
	p.t.Helper()
	owner, err := os.Stat(p.Dir())
	require.NoError(p.t, err)
	is, ok := owner.Sys().(*syscall.Stat_t)
	require.True(p.t, ok)
	file := filepath.Join(p.Dir(), name)
	require.NoError(p.t, os.WriteFile(file, content, 0o600))
	require.NoError(p.t, os.Chown(file, int(is.Uid), int(is.Gid)))
}

// Freeze makes every process of the server stand still, as a machine does whose
// disk hangs: connections stay open and new ones are taken, but nothing answers.
func (p *Postgres) Freeze() {
	p.t.Helper()
	conn, err := pgx.Connect(context.Background(), p.cluster.URL(database))
	require.NoError(p.t, err)
	// The main process first, so that there are no new ones.
	p.freeze(p.cluster.PID())
	rows, err := conn.Query(context.Background(), "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
	require.NoError(p.t, err)
	others, err := pgx.CollectRows(rows, pgx.RowTo[int])
	require.NoError(p.t, err)
	require.NoError(p.t, conn.Close(context.Background()))
	// Those that are still logging in are only known to the system, on Linux.
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.cluster.PID()))
	for _, child := range strings.Fields(string(children)) {
		if pid, err := strconv.Atoi(child); err == nil && !slices.Contains(others, pid) {
			others = append(others, pid)
		}
	}
	for _, pid := range others {
		p.freeze(pid)
	}
}

func (p *Postgres) freeze(pid int) {
	p.t.Helper()
	p.frozen = append(p.frozen, pid)
	if err := syscall.Kill(pid, syscall.SIGSTOP); !errors.Is(err, syscall.ESRCH) {
		require.NoError(p.t, err)
	}
}

// Thaw lets them go on.
func (p *Postgres) Thaw() {
	for _, pid := range p.frozen {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	p.frozen = nil
}

// Stutter makes the server slow, until stop: it stands still for two thirds of
// the time, in turns.
func (p *Postgres) Stutter() (stop func()) {
	p.t.Helper()
	p.Freeze()
	all := slices.Clone(p.frozen)
	ctx, cancel := context.WithCancel(context.Background())
	var turns sync.WaitGroup
	turns.Go(func() {
		signal := func(s syscall.Signal, d time.Duration) {
			for _, pid := range all {
				_ = syscall.Kill(pid, s)
			}
			select {
			case <-time.After(d):
			case <-ctx.Done():
			}
		}
		for ctx.Err() == nil {
			signal(syscall.SIGSTOP, 40*time.Millisecond)
			signal(syscall.SIGCONT, 20*time.Millisecond)
		}
	})
	return func() {
		cancel()
		turns.Wait()
		p.Thaw()
	}
}

// execute runs a statement as the superuser.
func (p *Postgres) execute(on, sql string) {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.cluster.URL(on))
	require.NoError(p.t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(p.t.Context(), sql)
	require.NoError(p.t, err)
}
