package telemetry_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgtest"
	"github.com/authservice/authservice/internal/telemetry"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// traced opens a pool that adds to the Work of its contexts.
func traced(t *testing.T, connections int32) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(pgtest.New(t).URL)
	require.NoError(t, err)
	tel, err := telemetry.Open(t.Context(), telemetry.Options{Out: t.Output(), Levels: "info"})
	require.NoError(t, err)
	config.ConnConfig.Tracer, config.MaxConns = tel.DatabaseTracer(), connections
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func TestWork_Database(t *testing.T) {
	t.Parallel()
	pool := traced(t, 4)
	// use is what some work asks of the database.
	use := func(do func(ctx context.Context)) telemetry.DatabaseUse {
		var w telemetry.Work
		do(telemetry.WithWork(t.Context(), &w))
		return w.Database()
	}
	exec := func(ctx context.Context, sql string) {
		_, err := pool.Exec(ctx, sql)
		require.NoError(t, err)
	}
	require.Zero(t, use(func(context.Context) { exec(t.Context(), "SELECT 1") }), "what others ask does not count")

	one := use(func(ctx context.Context) { exec(ctx, "SELECT pg_sleep(0.02) FROM generate_series(1, 3)") })
	require.GreaterOrEqual(t, one.Time, 60*time.Millisecond)
	require.EqualValues(t, 1, one.Statements)
	require.EqualValues(t, 3, one.Rows)

	in := use(func(ctx context.Context) {
		require.NoError(t, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "CREATE TEMP TABLE x AS SELECT generate_series(1, 5) AS n")
			require.NoError(t, err)
			_, err = tx.CopyFrom(ctx, pgx.Identifier{"x"}, []string{"n"}, pgx.CopyFromRows([][]any{{6}, {7}}))
			require.NoError(t, err)
			var batch pgx.Batch
			batch.Queue("DELETE FROM x")
			batch.Queue("SELECT 1")
			return tx.SendBatch(ctx, &batch).Close()
		}))
	})
	require.EqualValues(t, 6, in.Statements, "begin, create, copy, two of the batch, commit")
	require.EqualValues(t, 5+2+7+1, in.Rows)

	failed := use(func(ctx context.Context) {
		_, err := pool.Exec(ctx, "SELECT 1/0")
		require.Error(t, err)
	})
	require.EqualValues(t, 1, failed.Statements)
	require.Zero(t, failed.Rows)
}

// What runs at the same time is waited for once.
func TestWork_DatabaseInParallel(t *testing.T) {
	t.Parallel()
	pool := traced(t, 4)
	var w telemetry.Work
	ctx := telemetry.WithWork(t.Context(), &w)
	began := time.Now()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			_, err := pool.Exec(ctx, "SELECT pg_sleep(0.05)")
			require.NoError(t, err)
		})
	}
	all.Wait()
	require.EqualValues(t, 4, w.Database().Statements)
	require.LessOrEqual(t, w.Database().Time, time.Since(began))
}

// To wait for a free connection is to wait for the database.
func TestWork_DatabaseBusy(t *testing.T) {
	t.Parallel()
	pool := traced(t, 1)
	busy, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer busy.Release()
	var w telemetry.Work
	ctx, cancel := context.WithTimeout(telemetry.WithWork(t.Context(), &w), 50*time.Millisecond)
	defer cancel()
	_, err = pool.Exec(ctx, "SELECT 1")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Positive(t, w.Database().Time)
	require.Zero(t, w.Database().Statements)
}
