package pgdb_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/pgtest"
)

// What is told of a transaction is true: it was committed.
func TestOnCommit(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool
	var told []string
	tell := func(what string) func() { return func() { told = append(told, what) } }

	require.NoError(t, pgdb.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		pgdb.OnCommit(tx, tell("first"))
		pgdb.OnCommit(tx, tell("second"))
		require.Empty(t, told, "not yet")
		return nil
	}))
	require.Equal(t, []string{"first", "second"}, told)

	told = nil
	require.Error(t, pgdb.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		pgdb.OnCommit(tx, tell("rolled back"))
		return errors.New("no")
	}))
	require.Error(t, pgdb.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		pgdb.OnCommit(tx, tell("broken"))
		_, err := tx.Exec(t.Context(), "SELECT 1/0")
		require.Error(t, err)
		return nil // the commit is a rollback
	}))
	require.Empty(t, told)

	tries := 0
	require.NoError(t, pgdb.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		tries++
		pgdb.OnCommit(tx, tell("tried again"))
		if tries < 3 {
			return &pgconn.PgError{Code: "40001"}
		}
		return nil
	}))
	require.Equal(t, []string{"tried again"}, told, "of the last try only")

	require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		pgdb.OnCommit(tx, tell("somebody else's"))
		return nil
	}))
	require.Equal(t, []string{"tried again", "somebody else's"}, told)
}
