package creditledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
)

// A call that fails half-way leaves nothing behind: no transaction, no expiry,
// no key. It fails here at each place where the ledger looks at the clock, the
// last of which comes after everything but the key is written.
func TestLedger_Cancelled(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("Debit", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 5, ExpiresAt: in(time.Hour)})
		b.grant(t, creditledger.GrantParams{Amount: 10})
		b.clock.Advance(time.Hour)
		r := b.request()

		failed := 0
		for ; ; failed++ {
			err := b.cancelledAt(t, failed, func(ctx context.Context) error {
				_, err := b.ledger.Debit(ctx, r, creditledger.DebitParams{UserID: b.userID, Amount: 10})
				return err
			})
			if err == nil {
				break
			}
			require.ErrorIs(t, err, context.Canceled)
			require.Len(t, b.history(t), 2)
			require.False(t, b.isKept(t, r))
		}
		require.GreaterOrEqual(t, failed, 2)
		require.Len(t, b.history(t), 4)
		require.Zero(t, b.balance(t).Balance)
	})

	t.Run("Refusal", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 5, ExpiresAt: in(time.Hour)})
		b.clock.Advance(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		r := b.request()
		r.Refusal = func(e *apperr.Error) (int, []byte) { cancel(); return refusal(e) }
		_, err := b.ledger.Debit(ctx, r, creditledger.DebitParams{UserID: b.userID, Amount: 10})
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, b.history(t), 1)
		require.False(t, b.isKept(t, r))

		b.grant(t, creditledger.GrantParams{Amount: 10})
		_, err = b.ledger.Debit(t.Context(), r, creditledger.DebitParams{UserID: b.userID, Amount: 10})
		require.NoError(t, err, "the same request, sent again, is decided anew")
	})

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
}

// cancelledAt runs f with a context that ends when the ledger has looked at the clock so many times before.
func (b *bundle) cancelledAt(t *testing.T, reading int, f func(context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.clock.onRead = func() {
		if reading == 0 {
			cancel()
		}
		reading--
	}
	defer func() { b.clock.onRead = nil }()
	return f(ctx)
}

func (b *bundle) isKept(t *testing.T, r creditledger.Request) (kept bool) {
	t.Helper()
	err := b.db.Pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT 1 FROM idempotency_keys WHERE caller_id = $1 AND key = $2)",
		r.Actor.ID, r.Key).Scan(&kept)
	require.NoError(t, err)
	return kept
}
