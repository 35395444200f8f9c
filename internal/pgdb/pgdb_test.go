package pgdb_test

import (
	"context"
	"errors"
	"io"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestMigrate_ReplicasAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = pgdb.Migrate(t.Context(), url, io.Discard) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))

	all, err := pgdb.Migrations(t.Context(), url)
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for _, m := range all {
		require.True(t, m.Applied, m.Name)
	}
}

func TestMigrate_DownAndUpAgain(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	require.NoError(t, pgdb.Migrate(t.Context(), url, io.Discard))
	before := tables(t, url)
	require.Contains(t, before, "credit_transactions")

	all, err := pgdb.Migrations(t.Context(), url)
	require.NoError(t, err)
	for range all {
		require.NoError(t, pgdb.Rollback(t.Context(), url, io.Discard))
	}
	require.Equal(t, []string{"schema_migrations"}, tables(t, url))

	require.NoError(t, pgdb.Migrate(t.Context(), url, io.Discard))
	require.Equal(t, before, tables(t, url))
}

// Where an administrator has made authservice_runtime, the owner of the database
// need not be allowed to make roles.
func TestMigrate_OwnerWithoutCreateRole(t *testing.T) {
	t.Parallel()
	require.NoError(t, pgdb.Migrate(t.Context(), pgtest.Empty(t), io.Discard)) // makes the role, which the cluster has from then on

	admin, err := pgx.Connect(t.Context(), pgtest.Empty(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	database := admin.Config().Database
	_, err = admin.Exec(t.Context(), "CREATE ROLE owner_of_"+database+" LOGIN PASSWORD 'owner' NOCREATEROLE")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.Exec(context.Background(), "DROP OWNED BY owner_of_"+database+" CASCADE; ALTER DATABASE "+database+" OWNER TO CURRENT_USER; DROP ROLE owner_of_"+database)
		require.NoError(t, err)
	})
	_, err = admin.Exec(t.Context(), "ALTER DATABASE "+database+" OWNER TO owner_of_"+database)
	require.NoError(t, err)

	at, err := url.Parse(admin.Config().ConnString())
	require.NoError(t, err)
	at.User = url.UserPassword("owner_of_"+database, "owner")
	require.NoError(t, pgdb.Migrate(t.Context(), at.String(), io.Discard))
}

func TestPending(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pending, err := pgdb.Pending(t.Context(), db.Pool)
	require.NoError(t, err)
	require.Empty(t, pending)

	require.NoError(t, pgdb.Rollback(t.Context(), db.OwnerURL, io.Discard))
	pending, err = pgdb.Pending(t.Context(), db.Pool)
	require.NoError(t, err)
	require.Len(t, pending, 1)
}

func TestConstraintNames(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for _, name := range []string{pgdb.ConstraintUserEmail, pgdb.ConstraintIdempotencyKey} {
		var exists bool
		require.NoError(t, db.Pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = $1)", name).Scan(&exists))
		require.True(t, exists, name)
	}
}

func TestInTx(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	other := apperr.New(apperr.Conflict, "some_code", "")

	t.Run("RetriesDeadlocks", func(t *testing.T) {
		t.Parallel()
		tries := 0
		err := pgdb.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
			if tries++; tries == 1 {
				_, err := tx.Exec(t.Context(), "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$")
				return err
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 2, tries)
	})
	t.Run("GivesUp", func(t *testing.T) {
		t.Parallel()
		tries := 0
		err := pgdb.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
			tries++
			_, err := tx.Exec(t.Context(), "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$")
			return err
		})
		require.Equal(t, apperr.Unavailable, apperr.From(err).Kind)
		require.Equal(t, 4, tries)
	})
	t.Run("PassesRefusalsOn", func(t *testing.T) {
		t.Parallel()
		tries := 0
		err := pgdb.InTx(t.Context(), db.Pool, func(pgx.Tx) error { tries++; return other })
		require.ErrorIs(t, err, other)
		require.Equal(t, 1, tries)
	})
	t.Run("TimeoutIsUnavailable", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := pgdb.InTx(ctx, db.Pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "SELECT pg_sleep(10)")
			return err
		})
		require.Equal(t, apperr.Unavailable, apperr.From(err).Kind)
	})
	t.Run("BugsAreInternal", func(t *testing.T) {
		t.Parallel()
		err := pgdb.InTx(t.Context(), db.Pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "SELECT nonsense")
			return err
		})
		require.Equal(t, apperr.Internal, apperr.From(err).Kind)
	})
}

func TestOpen_HidesTheURL(t *testing.T) {
	t.Parallel()
	_, err := pgdb.Open(t.Context(), "postgres://u:hunter2@[bad/x", pgdb.PoolOptions{MaxConns: 1})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

func tables(t *testing.T, url string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	rows, err := conn.Query(t.Context(), "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}
