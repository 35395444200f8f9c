package creditledger_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

// A transaction's own time decides what has expired, also when it lies later
// than the clock says.
func TestLedger_NotSpentInTheMomentOfExpiry(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("WhenTheClockStandsStill", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10, ExpiresAt: in(time.Microsecond)})
		_, err := b.debit(t, 1) // the debit's own time is epoch+1µs
		requireShortfall(t, err, 1, 0)
	})
	t.Run("WhenExpiriesPushTheDebitOn", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 1, ExpiresAt: in(time.Hour)})
		b.grant(t, creditledger.GrantParams{Amount: 2, ExpiresAt: in(time.Hour)})
		b.grant(t, creditledger.GrantParams{Amount: 4, ExpiresAt: in(time.Hour + 2*time.Microsecond)})
		b.clock.Advance(time.Hour)
		_, err := b.debit(t, 1)
		requireShortfall(t, err, 1, 0)
	})
	t.Run("InTheSameBatch", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		r, err := b.ledger.Bulk(t.Context(), b.request(), false, []creditledger.BulkOperation{
			creditledger.GrantParams{UserID: b.userID, Amount: 10, ExpiresAt: in(time.Microsecond)},
			creditledger.DebitParams{UserID: b.userID, Amount: 1},
		})
		require.NoError(t, err)
		require.Equal(t, http.StatusPaymentRequired, r.Results[1].Status)
		require.Equal(t, creditledger.TypeExpiry, b.history(t)[1].Type)
	})
	t.Run("WhenTheClockWentBack", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10, ExpiresAt: in(time.Hour + time.Microsecond)})
		b.clock.Advance(time.Hour)
		b.grant(t, creditledger.GrantParams{Amount: 1})
		b.clock.Set(epoch) // an hour before the debit's own time
		_, err := b.debit(t, 2)
		requireShortfall(t, err, 2, 1)
	})
	t.Run("NorHeldInIt", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		h := b.place(t, 4)
		b.clock.Set(h.ExpiresAt.Add(-time.Microsecond))
		b.grant(t, creditledger.GrantParams{Amount: 1})
		b.clock.Set(epoch)
		_, err := b.debit(t, 11)
		require.NoError(t, err, "what it held can be spent")
		_, err = b.capture(t, h.ID, nil, true)
		require.ErrorIs(t, err, creditledger.ErrHoldNotActive)
	})
	t.Run("NorGrantedInIt", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 1})
		_, err := b.ledger.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 1, ExpiresAt: in(time.Microsecond)})
		require.ErrorContains(t, err, "validation_failed")
	})
}
