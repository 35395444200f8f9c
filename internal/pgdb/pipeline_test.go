package pgdb_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/pgtest"
)

func TestPipeline(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool
	withConn := func(t *testing.T, do func(context.Context, *pgx.Conn)) {
		t.Helper()
		c, err := pool.Acquire(t.Context())
		require.NoError(t, err)
		defer c.Release()
		do(t.Context(), c.Conn())
	}

	t.Run("InOrderAndInOneTransaction", func(t *testing.T) {
		withConn(t, func(ctx context.Context, conn *pgx.Conn) {
			var row, rows int
			exec := func(sql string) func(dbgen.DBTX) error {
				return func(db dbgen.DBTX) error { _, err := db.Exec(ctx, sql); return err }
			}
			require.NoError(t, pgdb.Pipeline(ctx, conn,
				exec("begin"),
				exec("CREATE TEMP TABLE seen (n int) ON COMMIT DROP"),
			))
			require.NoError(t, pgdb.Pipeline(ctx, conn,
				exec("INSERT INTO seen VALUES (1), (2)"),
				func(db dbgen.DBTX) error { return db.QueryRow(ctx, "SELECT count(*) FROM seen").Scan(&row) },
				func(dbgen.DBTX) error { return nil }, // need not ask anything
				exec("INSERT INTO seen VALUES (3)"),
				func(db dbgen.DBTX) error {
					r, err := db.Query(ctx, "SELECT n FROM seen")
					if err != nil {
						return err
					}
					all, err := pgx.CollectRows(r, pgx.RowTo[int])
					rows = len(all)
					return err
				},
				exec("commit"),
			))
			require.Equal(t, 2, row)
			require.Equal(t, 3, rows)
			require.Equal(t, byte('I'), conn.PgConn().TxStatus())
		})
	})

	t.Run("TheFirstFailureEndsIt", func(t *testing.T) {
		withConn(t, func(ctx context.Context, conn *pgx.Conn) {
			reached := false
			err := pgdb.Pipeline(ctx, conn,
				func(db dbgen.DBTX) error { _, err := db.Exec(ctx, "SELECT 1/0"); return err },
				func(db dbgen.DBTX) error {
					defer func() { reached = true }()
					return db.QueryRow(ctx, "SELECT 1").Scan(new(int))
				},
			)
			require.ErrorContains(t, err, "division by zero")
			require.True(t, reached, "its function ended, too")
			require.NoError(t, conn.Ping(ctx), "the connection is whole")
		})
	})

	t.Run("AFunctionThatFailsBeforeItAsks", func(t *testing.T) {
		withConn(t, func(ctx context.Context, conn *pgx.Conn) {
			cause := errors.New("no")
			err := pgdb.Pipeline(ctx, conn,
				func(db dbgen.DBTX) error { _, err := db.Exec(ctx, "CREATE TABLE never (n int)"); return err },
				func(dbgen.DBTX) error { return cause },
			)
			require.ErrorIs(t, err, cause)
			var there bool
			require.NoError(t, conn.QueryRow(ctx, "SELECT to_regclass('never') IS NOT NULL").Scan(&there))
			require.False(t, there, "nothing was sent")
		})
	})
}
