package pgdb_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/pgtest"
)

// end ends a session of the database, and waits until it is gone.
func end(t *testing.T, db *pgtest.Database, conn interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
},
) {
	t.Helper()
	var pid int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
	var ended bool
	require.NoError(t, db.Owner(t).QueryRow(t.Context(), "SELECT pg_terminate_backend($1, 20000)", pid).Scan(&ended))
	require.True(t, ended)
}

// One connection, so that it is known which is used.
func open(t *testing.T, url string, change ...func(*pgdb.PoolOptions)) *pgxpool.Pool {
	t.Helper()
	o := pgdb.PoolOptions{
		MaxConns: 1, MaxConnLifetime: time.Hour, MaxConnIdleTime: time.Hour,
		ConnectTimeout: 30 * time.Second, StatementTimeout: time.Minute, LockTimeout: 30 * time.Second,
	}
	for _, f := range change {
		f(&o)
	}
	pool, err := pgdb.Open(t.Context(), url, o)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// A transaction whose connection breaks is run again, unless it was being committed.
func TestInTx_BrokenConnection(t *testing.T) {
	t.Parallel()
	t.Run("Before", func(t *testing.T) {
		t.Parallel()
		db := pgtest.New(t)
		tries := 0
		err := pgdb.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
			if tries++; tries == 1 {
				end(t, db, tx)
			}
			_, err := tx.Exec(t.Context(), "SELECT 1")
			return err
		})
		require.NoError(t, err)
		require.Equal(t, 2, tries)
	})
	t.Run("AtTheEnd", func(t *testing.T) {
		t.Parallel()
		db := pgtest.New(t)
		tries := 0
		err := pgdb.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
			if tries++; tries == 1 {
				end(t, db, tx) // found out by the commit, which may have happened, for all that is known
			}
			return nil
		})
		require.Equal(t, 1, tries)
		require.Equal(t, apperr.Unavailable, apperr.From(err).Kind)
		require.Equal(t, pgdb.ReasonUnknown, apperr.From(err).Reason)
	})
	t.Run("TooOften", func(t *testing.T) {
		t.Parallel()
		db := pgtest.New(t)
		tries := 0
		err := pgdb.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
			tries++
			end(t, db, tx)
			_, err := tx.Exec(t.Context(), "SELECT 1")
			return err
		})
		require.Equal(t, 4, tries)
		require.Equal(t, pgdb.ReasonLost, apperr.From(err).Reason)
	})
}

func TestRead_BrokenConnection(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	tries := 0
	err := pgdb.Read(t.Context(), func() error {
		conn, err := db.Pool.Acquire(t.Context())
		require.NoError(t, err)
		defer conn.Release()
		if tries++; tries == 1 {
			end(t, db, conn)
		}
		_, err = conn.Exec(t.Context(), "SELECT 1")
		return pgdb.Classify(err)
	})
	require.NoError(t, err)
	require.Equal(t, 2, tries)

	tries = 0
	refusal := apperr.New(apperr.Conflict, "some_code", "")
	require.ErrorIs(t, pgdb.Read(t.Context(), func() error { tries++; return refusal }), refusal)
	require.Equal(t, 1, tries)
}

// An idle connection that died is not handed out, however short it was idle.
func TestOpen_DeadConnections(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool := open(t, db.URL)
	for range 10 {
		end(t, db, pool)
		_, err := pool.Exec(t.Context(), "SELECT 1")
		require.NoError(t, err)
	}
}

func TestOpen_AcquireTimeout(t *testing.T) {
	t.Parallel()
	pool := open(t, pgtest.New(t).URL, func(o *pgdb.PoolOptions) { o.AcquireTimeout = 2 * time.Second })
	held, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	err = pgdb.InTx(t.Context(), pool, func(pgx.Tx) error { return nil })
	require.Equal(t, apperr.Unavailable, apperr.From(err).Kind)
	require.Equal(t, pgdb.ReasonTimeout, apperr.From(err).Reason)

	// The time is for waiting, not for what comes after it.
	held.Release()
	_, err = pool.Exec(t.Context(), "SELECT pg_sleep(2.2)")
	require.NoError(t, err)
}

// What a pooler does not pass on is asked for, and nothing is prepared by name.
func TestOpen_Pooled(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pooled := pgdb.PoolOptions{
		MaxConns: 1, MaxConnLifetime: time.Hour, MaxConnIdleTime: time.Hour, ConnectTimeout: 30 * time.Second,
		StatementTimeout: time.Minute, LockTimeout: 30 * time.Second, Pooled: true,
	}
	_, err := pgdb.Open(t.Context(), db.URL, pooled)
	require.ErrorContains(t, err, "ALTER ROLE authservice_test SET idle_in_transaction_session_timeout = 120000; "+
		"ALTER ROLE authservice_test SET lock_timeout = 30000; ALTER ROLE authservice_test SET statement_timeout = 60000;")
	for name, limit := range map[string]int{"idle_in_transaction_session_timeout": 120_000, "lock_timeout": 29_000, "statement_timeout": 60_001} {
		// Of this database only: other tests have the role as well.
		_, err := db.Owner(t).Exec(t.Context(), fmt.Sprintf(`DO $$ BEGIN EXECUTE format(
			'ALTER ROLE authservice_test IN DATABASE %%I SET %s = %d', current_database()); END $$`, name, limit))
		require.NoError(t, err)
	}
	_, err = pgdb.Open(t.Context(), db.URL, pooled)
	require.ErrorContains(t, err, "reconnect: ALTER ROLE authservice_test SET statement_timeout = 60000;", "the others will do")

	pooled.StatementTimeout += time.Second
	pool, err := pgdb.Open(t.Context(), db.URL, pooled)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	var prepared int
	for range 10 {
		require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_prepared_statements WHERE name <> $1", "").Scan(&prepared))
		require.Zero(t, prepared)
	}
}

// What PostgreSQL says is told apart.
func TestClassify(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for state, reason := range map[string]string{
		"53100": pgdb.ReasonDiskFull, "53200": pgdb.ReasonOutOfMemory, "53300": pgdb.ReasonConnections, "53400": pgdb.ReasonOtherLimit,
		"25006": pgdb.ReasonReadOnly, "55P03": pgdb.ReasonLock, "57014": pgdb.ReasonStatement, "40001": pgdb.ReasonConflict, "40P01": pgdb.ReasonConflict,
		"57P01": pgdb.ReasonLost, "57P03": pgdb.ReasonStarting, "25P03": pgdb.ReasonLost, "08006": pgdb.ReasonLost, "08P01": pgdb.ReasonConnectionOther, "57P04": pgdb.ReasonOperator,
	} {
		_, err := db.Pool.Exec(t.Context(), "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '"+state+"'; END $$")
		e := apperr.From(pgdb.Classify(err))
		require.Equal(t, apperr.Unavailable, e.Kind, state)
		require.Equal(t, reason, e.Reason, state)
	}
	for _, state := range []string{"23505", "42703", "XX000", "25001"} {
		_, err := db.Pool.Exec(t.Context(), "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '"+state+"'; END $$")
		require.Equal(t, apperr.Internal, apperr.From(pgdb.Classify(err)).Kind, state)
	}
}
