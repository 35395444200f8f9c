package creditledger_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

func (b *bundle) transfer(t T, to uuid.UUID, amount int64) (creditledger.TransferReceipt, error) {
	t.Helper()
	return b.ledger.Transfer(t.Context(), b.request(), creditledger.TransferParams{FromUserID: b.userID, ToUserID: to, Amount: amount})
}

// What is transferred is worth to the receiver what it was to the sender.
func TestLedger_TransferKeepsTerms(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := b.fork(t)
	soon, late := in(time.Hour), in(2*time.Hour)
	b.grant(t, creditledger.GrantParams{Amount: 1, Priority: 1, ExpiresAt: soon})
	b.grant(t, creditledger.GrantParams{Amount: 2, Priority: 1, ExpiresAt: late})
	b.grant(t, creditledger.GrantParams{Amount: 4, Priority: 1, ExpiresAt: late}) // the same terms
	b.grant(t, creditledger.GrantParams{Amount: 8, Priority: 1})
	b.grant(t, creditledger.GrantParams{Amount: 16, Priority: 2, ExpiresAt: soon})

	r, err := b.transfer(t, to.userID, 20)
	require.NoError(t, err)
	require.Equal(t, creditledger.TypeTransferOut, r.Debit.Type)
	require.Equal(t, creditledger.TypeTransferIn, r.Credit.Type)
	require.Equal(t, []int64{-20, 20}, []int64{r.Debit.Amount, r.Credit.Amount})
	require.Equal(t, []int64{11, 20}, []int64{r.Debit.BalanceAfter, r.Credit.BalanceAfter})
	require.NotNil(t, r.Debit.TransferID)
	require.Equal(t, r.Debit.TransferID, r.Credit.TransferID)

	type terms struct {
		amount   int64
		priority int16
		expires  *time.Time
		part     int16
	}
	var got []terms
	for _, g := range to.grants(t) { // newest first
		got = append(got, terms{g.Amount, g.Priority, g.ExpiresAt, g.Part})
		require.Equal(t, r.Credit.ID, g.TransactionID)
	}
	require.Equal(t, []terms{{5, 2, soon, 3}, {8, 1, nil, 2}, {6, 1, late, 1}, {1, 1, soon, 0}}, got)

	b.clock.Set(*late)
	to.clock.Set(*late)
	b.requireBalance(t, 0, 0)
	to.requireBalance(t, 8, 0)
}

func TestLedger_TransferRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("ToOneself", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		_, err := b.transfer(t, b.userID, 1)
		require.ErrorIs(t, err, creditledger.ErrSameAccount)
		b.requireBalance(t, 10, 0)
	})

	t.Run("MoreThanThereIs", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		to := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		b.place(t, 4)
		_, err := b.transfer(t, to.userID, 7)
		requireShortfall(t, err, 7, 6)
		to.requireBalance(t, 0, 0)
	})

	t.Run("MoreThanTheReceiverMayHave", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		to := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		to.grant(t, creditledger.GrantParams{Amount: creditledger.MaxBalance - 9})
		_, err := b.transfer(t, to.userID, 10)
		require.ErrorIs(t, err, creditledger.ErrBalanceLimitExceeded)
		b.requireBalance(t, 10, 0)
		_, err = b.transfer(t, to.userID, 9)
		require.NoError(t, err)
		to.requireBalance(t, creditledger.MaxBalance, 0)
	})

	t.Run("FromOrToNobody", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		_, err := b.transfer(t, uuid.New(), 1)
		require.ErrorIs(t, err, creditledger.ErrUserNotFound)
		_, err = b.ledger.Transfer(t.Context(), b.request(), creditledger.TransferParams{FromUserID: uuid.New(), ToUserID: b.userID, Amount: 1})
		require.ErrorIs(t, err, creditledger.ErrUserNotFound)
		b.requireBalance(t, 10, 0)
		require.Len(t, b.history(t), 1)
	})
}
