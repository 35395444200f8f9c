package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/ledgerproof"
	"github.com/authservice/authservice/internal/pgtest"
)

func testPopulation() *population {
	return &population{
		seed: 42, users: 7, spending: 40, actor: uuid.MustParse("01a20a82-6978-7126-b032-60ccbe778c84"),
		begin: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), step: time.Millisecond,
	}
}

func TestPopulation_EverybodyHasATurn(t *testing.T) {
	t.Parallel()
	p := testPopulation()
	for _, users := range []int{1, 2, 7, 64, 1000, 104_729} {
		p.users = users
		for round := range 2 {
			seen := make(map[int]bool, users)
			for place := range users {
				seen[p.user(round*users+place)] = true
			}
			require.Len(t, seen, users)
		}
	}
}

// The ledger's own proof finds nothing wrong with what is written, and the schema
// is as it was, whether it was written with indexes in the way or without.
func TestWritePopulation(t *testing.T) {
	t.Parallel()
	for name, bulk := range map[string]int{"Few": 1 << 30, "Bulk": 1} {
		for kind, change := range map[string]func(*population){
			"Spending":   func(*population) {},
			"OpenGrants": func(p *population) { p.spending, p.openGrants = 0, 30 },
			"OneGrant":   func(p *population) { p.spending = 0 },
		} {
			t.Run(name+kind, func(t *testing.T) {
				t.Parallel()
				db, p := pgtest.New(t), testPopulation()
				owner := db.Owner(t)
				change(p)
				before := schemaOf(t, owner)
				require.NoError(t, writePopulationBy(t.Context(), owner, p, bulk, func(string, int, int) {}))
				require.Equal(t, before, schemaOf(t, owner))

				report, err := ledgerproof.Verify(t.Context(), db.Pool, ledgerproof.Options{})
				require.NoError(t, err)
				require.EqualValues(t, p.transactions(), report.Transactions)
				require.EqualValues(t, p.users, report.Accounts)
				require.GreaterOrEqual(t, report.Outstanding.Int64(), int64(p.users*lastGrant), "there is something to spend")
			})
		}
	}
}

// schemaOf is all constraints and indexes.
func schemaOf(t *testing.T, db *pgx.Conn) string {
	t.Helper()
	rows, err := db.Query(t.Context(), `
		SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
		UNION ALL
		SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
		ORDER BY 1`)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(lines, "\n")
}
