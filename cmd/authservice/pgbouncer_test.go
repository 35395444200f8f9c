//go:build pgbouncer && linux

package main

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/faults"
	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/pgtest"
)

// What PgBouncer in transaction mode gives each transaction is another connection.
// Everything must be as without it.
//
// It has a build tag because it needs the package pgbouncer:
//
//	go test -tags pgbouncer ./cmd/authservice -run PgBouncer -v
const bounced = "AUTH_DATABASE_POOLER=transaction"

// startBounced starts PostgreSQL, with a role that brings its time limits along,
// and PgBouncer in front of it.
func startBounced(t *testing.T) (pg *faults.Postgres, db *pgtest.Database) {
	t.Helper()
	pg = faults.StartPostgres(t)
	_, err := pg.Superuser().Exec(t.Context(), "ALTER ROLE authservice SET statement_timeout = '5s'; ALTER ROLE authservice SET lock_timeout = '4s';"+
		"ALTER ROLE authservice SET idle_in_transaction_session_timeout = '10s'")
	require.NoError(t, err)
	return pg, &pgtest.Database{URL: pg.URL(faults.StartPgBouncer(t, pg))}
}

func TestPgBouncer_Replicas(t *testing.T) {
	t.Parallel()
	pg, db := startBounced(t)
	su := pg.Superuser()
	startReplicas(t, db, su, bounced).requireOneService(t)
	var sessions int
	require.NoError(t, su.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = 'authservice'").Scan(&sessions))
	require.LessOrEqual(t, sessions, 4, "of PgBouncer's own")
}

// A service whose limits would not hold does not start, and says what to do.
func TestPgBouncer_Limits(t *testing.T) {
	t.Parallel()
	pg := faults.StartPostgres(t)
	url := pg.URL(faults.StartPgBouncer(t, pg))
	open := func(o pgdb.PoolOptions) (*pgxpool.Pool, error) {
		o.MaxConns, o.ConnectTimeout, o.StatementTimeout, o.LockTimeout = 2, 30*time.Second, 2*time.Second, time.Second
		return pgdb.Open(t.Context(), url, o)
	}
	_, err := open(pgdb.PoolOptions{})
	require.ErrorContains(t, err, "unsupported startup parameter")
	_, err = open(pgdb.PoolOptions{Pooled: true})
	for _, remedy := range []string{
		"ALTER ROLE authservice SET statement_timeout = 2000;", "ALTER ROLE authservice SET lock_timeout = 1000;",
		"ALTER ROLE authservice SET idle_in_transaction_session_timeout = 4000;",
	} {
		require.ErrorContains(t, err, remedy)
		_, err := pg.Superuser().Exec(t.Context(), remedy)
		require.NoError(t, err)
	}
	url = pg.URL(faults.StartPgBouncer(t, pg)) // whose connections are new
	pool, err := open(pgdb.PoolOptions{Pooled: true})
	require.NoError(t, err)
	defer pool.Close()

	_, err = pool.Exec(t.Context(), "SELECT pg_sleep(60)")
	require.ErrorContains(t, err, "statement timeout")
	su, err := pg.Superuser().Begin(t.Context())
	require.NoError(t, err)
	defer su.Rollback(context.Background())
	_, err = su.Exec(t.Context(), "LOCK TABLE users")
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "SELECT count(*) FROM users")
	require.ErrorContains(t, err, "lock timeout")

	// In session mode only the parameters are in the way.
	url = pg.URL(faults.StartPgBouncer(t, pg, "pool_mode = session",
		"ignore_startup_parameters = statement_timeout,lock_timeout,idle_in_transaction_session_timeout"))
	session, err := open(pgdb.PoolOptions{})
	require.NoError(t, err)
	session.Close()
}

// Migrations go through it as well, however many want to make them.
func TestPgBouncer_Migrate(t *testing.T) {
	t.Parallel()
	pg := faults.StartPostgres(t)
	su := pg.Superuser()
	_, err := su.Exec(t.Context(), "ALTER ROLE authservice CREATEROLE")
	require.NoError(t, err)
	_, err = su.Exec(t.Context(), "CREATE DATABASE another OWNER authservice")
	require.NoError(t, err)
	url := pg.URLOf(faults.StartPgBouncer(t, pg), "another")
	errs := make([]error, 6)
	parallel(len(errs), func(i int) { errs[i] = pgdb.Migrate(t.Context(), url, io.Discard) })
	requireNone(t, errs)
	all, err := pgdb.Migrations(t.Context(), url)
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for _, m := range all {
		require.True(t, m.Applied, m.Name)
	}
	require.NoError(t, pgdb.Rollback(t.Context(), url, io.Discard))
	// PgBouncer lets go of what a client has left a moment later.
	require.Eventually(t, func() bool {
		var locks int
		require.NoError(t, su.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").Scan(&locks))
		return locks == 0
	}, eventually, aMoment, "none is left with a connection of PgBouncer's")
}

// What happens to the database behind it is survived as without it.
func TestPgBouncer_Outage(t *testing.T) {
	t.Parallel()
	pg, db := startBounced(t)
	o := &outage{pg: pg, process: startProcess(t, db, bounced,
		"AUTH_DATABASE_SILENCE_TIMEOUT=2s", "AUTH_DATABASE_STATEMENT_TIMEOUT=5s", "AUTH_HTTP_REQUEST_TIMEOUT=6s")}
	o.user = o.process.user(t)
	o.admin(t).grant(t, o.user.id(), 1_000_000)
	o.survive(t, pg.Kill, pg.Start, "database_connection")
	// PgBouncer itself is not silent: it takes as long as a request may.
	o.survive(t, pg.Freeze, pg.Thaw, "database_timeout")
	o.survive(t, pg.Stop, pg.Start, "database_connection")
}
