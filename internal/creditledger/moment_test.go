package creditledger_test

import (
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
	t.Run("NorGrantedInIt", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 1})
		_, err := b.ledger.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 1, ExpiresAt: in(time.Microsecond)})
		require.ErrorContains(t, err, "validation_failed")
	})
}
