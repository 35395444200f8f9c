package creditledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
)

// A caller that leaves does not learn what became of its request, which is done
// once or not at all: sent again, it is answered.
func TestLedger_Cancelled(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("BeforeItBegan", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := b.request()
		_, err := b.ledger.Grant(ctx, r, creditledger.GrantParams{UserID: b.userID, Amount: 10})
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, b.history(t))
		require.False(t, b.isKept(t, r))
	})

	t.Run("UnderWay", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 5, ExpiresAt: in(time.Hour)})
		b.grant(t, creditledger.GrantParams{Amount: 10})
		b.clock.Advance(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		b.clock.onRead = cancel
		r, params := b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 4}
		_, err := b.ledger.Debit(ctx, r, params)
		require.True(t, err == nil || ctx.Err() != nil)
		got, err := b.ledger.Debit(t.Context(), r, params)
		require.NoError(t, err)
		require.Equal(t, int64(6), got.Transaction.BalanceAfter)
		require.Len(t, b.history(t), 4)
	})

	t.Run("WhileItIsRefused", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		ctx, cancel := context.WithCancel(t.Context())
		r, params := b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 10}
		r.Refusal = func(e *apperr.Error) (int, []byte) { cancel(); return refusal(e) }
		_, err := b.ledger.Debit(ctx, r, params)
		require.Error(t, err)
		_, err = b.ledger.Debit(t.Context(), r, params)
		require.True(t, refusedBy(t, err).Replayed)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		_, err = b.ledger.Debit(t.Context(), r, params)
		require.True(t, refusedBy(t, err).Replayed, "a late duplicate never spends")
	})

	t.Run("TooLate", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		unlock := b.lockAccount(t, b.userID)
		defer unlock()
		for _, patience := range []time.Duration{0, 50 * time.Millisecond} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			_, err := b.ledger.Debit(ctx, b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 10})
			cancel()
			require.Equal(t, apperr.Unavailable, apperr.From(err).Kind, "%v", err)
		}
	})

	t.Run("WhileItWaits", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		unlock := b.lockAccount(t, b.userID)
		ctx, cancel := context.WithCancel(t.Context())
		r, params := b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 10}
		first := make(chan error, 1)
		go func() { _, err := b.ledger.Debit(t.Context(), b.request(), params); first <- err }()
		b.requireWaiting(t, "CreditAccountLock")
		second := make(chan error, 1)
		go func() { _, err := b.ledger.Debit(ctx, r, params); second <- err }()
		cancel()
		require.ErrorIs(t, <-second, context.Canceled)
		unlock()
		require.NoError(t, <-first)
		require.False(t, b.isKept(t, r), "it had not begun")
	})
}

func (b *bundle) isKept(t *testing.T, r creditledger.Request) (kept bool) {
	t.Helper()
	err := b.db.Pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT 1 FROM idempotency_keys WHERE caller_id = $1 AND key = $2)",
		r.Actor.ID, r.Key).Scan(&kept)
	require.NoError(t, err)
	return kept
}
