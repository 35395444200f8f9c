package creditledger_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

// reverse undoes some of a transaction, or with nil the rest of it.
func (b *bundle) reverse(t T, id uuid.UUID, amount *int64) (creditledger.Transaction, error) {
	t.Helper()
	r, err := b.ledger.Reverse(t.Context(), b.request(), id, creditledger.ReversalParams{Amount: amount})
	return r.Transaction, err
}

// An incremented hold may pin a grant twice, and its capture burn it twice.
func TestLedger_ReverseWhatBurnedAGrantTwice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct {
		name  string
		parts []*int64
	}{
		{"All", []*int64{nil}},
		{"PartAndRest", []*int64{ptr(int64(2)), nil}},
		{"Parts", []*int64{ptr(int64(1)), ptr(int64(4)), ptr(int64(3))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := b.fork(t)
			b.grant(t, creditledger.GrantParams{Amount: 10})
			h, err := b.ledger.Hold(t.Context(), b.request(), creditledger.HoldParams{UserID: b.userID, Amount: 5, ExpiresIn: creditledger.DefaultHold})
			require.NoError(t, err)
			_, err = b.ledger.IncrementHold(t.Context(), b.request(), h.Hold.ID, 3)
			require.NoError(t, err)
			h, err = b.ledger.CaptureHold(t.Context(), b.request(), h.Hold.ID, creditledger.CaptureParams{Final: true})
			require.NoError(t, err)

			var sum int64
			for _, part := range c.parts {
				got, err := b.reverse(t, *h.Hold.TransactionID, part)
				require.NoError(t, err)
				sum += got.Amount
			}
			require.Equal(t, int64(8), sum)
			_, err = b.reverse(t, *h.Hold.TransactionID, nil)
			require.ErrorIs(t, err, creditledger.ErrAlreadyReversed)
			require.Equal(t, int64(10), b.balance(t).Balance)
		})
	}
}

// Several reversals of one transaction, decided in one batch.
func TestLedger_ReversalsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 100})
	debited, err := b.debit(t, 10)
	require.NoError(t, err)
	_, err = b.reverse(t, debited.ID, ptr(int64(6)))
	require.NoError(t, err)

	unlock := b.lockAccount(t, b.userID)
	results := make(chan error, 5)
	ask := func(amount *int64) {
		_, err := b.reverse(t, debited.ID, amount)
		results <- err
	}
	go ask(ptr(int64(1)))
	b.requireWaiting(t, "CreditAccountLock")
	for range cap(results) - 1 {
		go ask(nil)
	}
	unlock()
	done := 0
	for range cap(results) {
		if err := <-results; err == nil {
			done++
		} else {
			require.ErrorIs(t, err, creditledger.ErrAlreadyReversed)
		}
	}
	require.GreaterOrEqual(t, done, 1)
	require.Equal(t, int64(100), b.balance(t).Balance)
	var sum int64
	for _, x := range b.history(t) {
		if x.Type == creditledger.TypeReversal {
			require.Positive(t, x.Amount)
			sum += x.Amount
		}
	}
	require.Equal(t, int64(10), sum)
}
