package jobs

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/pgtest"
)

// What our migrations make must be what the linked version of River would make
// itself. When this fails after an upgrade of River, the migrations lack a file.
func TestMigrations(t *testing.T) {
	t.Parallel()
	ours := owner(t, pgtest.New(t).OwnerURL)
	migrator, err := rivermigrate.New(riverpgxv5.New(ours), nil)
	require.NoError(t, err)
	result, err := migrator.Validate(t.Context(), nil)
	require.NoError(t, err)
	require.True(t, result.OK, result.Messages)

	theirs := owner(t, pgtest.Empty(t))
	migrator, err = rivermigrate.New(riverpgxv5.New(theirs), nil)
	require.NoError(t, err)
	_, err = migrator.Migrate(t.Context(), rivermigrate.DirectionUp, nil)
	require.NoError(t, err)
	want := catalog(t, theirs)
	require.NotEmpty(t, want)
	require.Empty(t, cmp.Diff(want, catalog(t, ours)))
}

// Jobs of a day must not keep an operator from going back.
func TestMigrations_DownWithJobs(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	_, err := db.Pool.Exec(t.Context(), `
		INSERT INTO river_job (kind, args, state, finalized_at, unique_key, unique_states)
		SELECT 'every:tick', '{}', 'completed', now(), 'key', B'11110001' FROM generate_series(1, 2)`)
	require.NoError(t, err)
	for {
		require.NoError(t, pgdb.Rollback(t.Context(), db.OwnerURL, io.Discard))
		pending, err := pgdb.Pending(t.Context(), db.Pool)
		require.NoError(t, err)
		if strings.HasSuffix(pending[0], "_river_1.sql") {
			return
		}
	}
}

func owner(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// catalog describes everything that is named after River.
func catalog(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `
		SELECT concat_ws(' ', 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
		WHERE c.relname LIKE 'river%' AND c.relkind = 'r'
		UNION ALL SELECT concat_ws(' ', 'relation', relname, relkind, relpersistence) FROM pg_class WHERE relname LIKE 'river%'
		UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'river%'
		UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid))
		FROM pg_constraint WHERE conrelid::regclass::text LIKE 'river%'
		UNION ALL SELECT concat_ws(' ', 'function', proname, provolatile, pg_get_function_arguments(oid), pg_get_function_result(oid), regexp_replace(prosrc, '\s+', ' ', 'g'))
		FROM pg_proc WHERE proname LIKE 'river%'
		UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid::regclass::text LIKE 'river%' AND NOT tgisinternal
		UNION ALL SELECT concat_ws(' ', 'enum', enumtypid::regtype, enumlabel, row_number() OVER (PARTITION BY enumtypid ORDER BY enumsortorder))
		FROM pg_enum WHERE enumtypid::regtype::text LIKE 'river%'
		UNION ALL SELECT concat_ws(' ', 'version', line, version) FROM river_migration
		ORDER BY 1`)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return lines
}
