package ledgerproof

import (
	"context"
	"math"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgtest"
)

func TestVerify_Sound(t *testing.T) {
	t.Parallel()
	f := fill(t, pgtest.New(t).Pool)
	var want Report
	for _, page := range []int32{0, 1, 2, 3, 5, 12, 37} { // 12 events, 37 transactions
		got, err := Verify(t.Context(), f.pool, Options{Outside: f.checkpoints, page: page})
		require.NoError(t, err, page)
		if got.Took = 0; page == 0 {
			want = got
		}
		require.Equal(t, want, got, "pages of %d rows", page)
	}
}

// Whoever waits no longer is told so, and not that the ledger is broken.
func TestVerify_Cancelled(t *testing.T) {
	t.Parallel()
	f := fill(t, pgtest.New(t).Pool)
	for reads := range 30 {
		ctx, cancel := context.WithCancel(t.Context())
		conn, err := f.pool.Acquire(ctx)
		require.NoError(t, err)
		tx, err := conn.Begin(ctx)
		require.NoError(t, err)
		_, err = verify(ctx, &fickle{DBTX: tx, left: reads, cancel: cancel}, Options{page: 2})
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorAs(t, err, new(*Break))
		conn.Release()
	}
}

// fickle is a database whose caller gives up after some queries.
type fickle struct {
	dbgen.DBTX
	left   int
	cancel func()
}

func (f *fickle) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if f.left--; f.left < 0 {
		f.cancel()
	}
	return f.DBTX.Query(ctx, sql, args...)
}

// Sums of amounts do not wrap, and what was issued is accounted for.
func TestTotals(t *testing.T) {
	t.Parallel()
	var all totals
	for range 3 {
		all.issued.add(math.MaxInt64)
		all.spent.add(math.MaxInt64)
	}
	all.spent.add(-5)
	all.outstanding.add(5)
	report := func() *Report {
		return &Report{Issued: all.issued.big(), Spent: all.spent.big(), Expired: all.expired.big(), Revoked: all.revoked.big(), Outstanding: all.outstanding.big()}
	}
	require.Equal(t, "27670116110564327421", report().Issued.String())
	require.NoError(t, report().checkTotals())
	all.expired.add(1)
	require.ErrorContains(t, report().checkTotals(), "27670116110564327421 were issued, but 27670116110564327416 spent, 1 expired, 0 were revoked and 5 are outstanding")
	all.revoked.add(-1)
	require.NoError(t, report().checkTotals())
}
