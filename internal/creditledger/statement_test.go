package creditledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

// Without an end it has everything, also what other replicas, or a fast batch,
// made at times that this clock has not reached.
func TestLedger_StatementToNow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 5 {
		b.grant(t, creditledger.GrantParams{Amount: 1})
	}
	s, err := b.ledger.Statement(t.Context(), b.userID, nil, nil)
	require.NoError(t, err)
	require.Equal(t, int64(5), s.Closing)
}

// It is read page by page, and lies between its balances.
func TestLedger_Statement(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const pages = 1100 // transactions, a microsecond apart
	for range 2 {
		many := make([]creditledger.BulkOperation, pages/2)
		for i := range many {
			many[i] = creditledger.GrantParams{UserID: b.userID, Amount: 1, Note: creditledger.Note{Description: ptr("a drop")}}
		}
		_, err := b.ledger.Bulk(t.Context(), b.request(), true, many)
		require.NoError(t, err)
	}
	history := b.history(t)
	require.Len(t, history, pages)
	microseconds := func(n int) *time.Time { return in(time.Duration(n) * time.Microsecond) }

	for _, c := range []struct {
		from, to    *time.Time
		after, last int
	}{
		{nil, nil, 0, pages},
		{nil, in(0), 0, 0},
		{in(time.Hour), nil, pages, pages},
		{microseconds(500), nil, 500, pages},
		{microseconds(1), microseconds(1001), 1, 1001},
		{microseconds(7), microseconds(8), 7, 8},
		{microseconds(8), microseconds(7), 8, 8},
	} {
		s, err := b.ledger.Statement(t.Context(), b.userID, c.from, c.to)
		require.NoError(t, err)
		require.Equal(t, []int64{int64(c.after), int64(c.last)}, []int64{s.Opening, s.Closing})
		var got []creditledger.Transaction
		for x, err := range s.Transactions(t.Context()) {
			require.NoError(t, err)
			got = append(got, x)
		}
		requireSame(t, history[c.after:c.last], got)
		for range s.Transactions(t.Context()) {
			break // who reads on when nobody listens would panic
		}
	}

	_, err := b.ledger.Statement(t.Context(), uuid.New(), nil, nil)
	require.ErrorIs(t, err, creditledger.ErrUserNotFound)
	s, err := b.ledger.Statement(t.Context(), b.userID, nil, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range s.Transactions(ctx) {
		require.ErrorIs(t, err, context.Canceled)
	}
}
