package creditledger_test

import (
	"math"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

func TestLedger_Debit(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("All", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		granted := b.grant(t, creditledger.GrantParams{Amount: 100})
		r := b.request()
		receipt, err := b.ledger.Debit(t.Context(), r, creditledger.DebitParams{
			UserID: b.userID, Amount: 100, Reference: ptr("order-1"),
			Note: creditledger.Note{Description: ptr("one order"), Metadata: []byte(`{"items":[1, 2]}`)},
		})
		require.NoError(t, err)
		require.False(t, receipt.Replayed)

		got := receipt.Transaction
		require.NotEqual(t, uuid.Nil, got.ID)
		require.NotEqual(t, granted.Hash, got.Hash)
		requireSame(t, creditledger.Transaction{
			UserID: b.userID, Sequence: 2, ID: got.ID, Type: creditledger.TypeDebit, Amount: -100, BalanceAfter: 0,
			Reference: ptr("order-1"),
			Note:      creditledger.Note{Description: ptr("one order"), Metadata: []byte(`{"items":[1, 2]}`)},
			Burned:    []creditledger.Burn{{GrantID: *granted.GrantID, Amount: 100}},
			Actor:     b.caller, IdempotencyKey: &r.Key, Hash: got.Hash, CreatedAt: got.CreatedAt,
		}, got)
		requireSame(t, []creditledger.Transaction{granted, got}, b.history(t))
	})

	t.Run("LeavesTheRest", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 100})
		got, err := b.debit(t, 1)
		require.NoError(t, err)
		require.Equal(t, int64(99), got.BalanceAfter)
		require.Equal(t, int64(99), b.balance(t).Balance)
		require.Equal(t, int64(99), b.grants(t)[0].Remaining)
	})

	t.Run("InsufficientFunds", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 99})
		_, err := b.debit(t, 100)
		requireShortfall(t, err, 100, 99)
		require.Equal(t, int64(99), b.balance(t).Balance)
		require.Len(t, b.history(t), 1)
	})

	t.Run("EmptyAccount", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		_, err := b.debit(t, 1)
		requireShortfall(t, err, 1, 0)
		require.Empty(t, b.history(t))
	})

	t.Run("UnknownUser", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.userID = uuid.New()
		_, err := b.debit(t, 1)
		require.ErrorIs(t, err, creditledger.ErrUserNotFound)
	})

	t.Run("OtherAccountsAreNotTouched", func(t *testing.T) {
		t.Parallel()
		b, other := b.fork(t), b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		other.grant(t, creditledger.GrantParams{Amount: 10})
		_, err := b.debit(t, 11)
		requireShortfall(t, err, 11, 10)
		_, err = b.debit(t, 10)
		require.NoError(t, err)
		require.Equal(t, int64(10), other.balance(t).Balance)
	})
}

func TestLedger_DebitPartly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct {
		name                string
		there, amount, take int64
	}{
		{"EnoughIsThere", 100, 40, 40},
		{"JustEnough", 100, 100, 100},
		{"TakesWhatIsThere", 100, 101, 100},
		{"TheLastOne", 1, creditledger.MaxBalance, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := b.fork(t)
			b.grant(t, creditledger.GrantParams{Amount: c.there})
			got, err := b.debitPartly(t, c.amount)
			require.NoError(t, err)
			require.Equal(t, -c.take, got.Amount)
			require.Equal(t, c.there-c.take, got.BalanceAfter)
		})
	}

	t.Run("NothingIsThere", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 5})
		_, err := b.debitPartly(t, 5)
		require.NoError(t, err)
		_, err = b.debitPartly(t, 7)
		requireShortfall(t, err, 7, 0)
		require.Len(t, b.history(t), 2)
	})
}

// The ledger relies on no caller to check amounts: a negative debit would make credits.
func TestLedger_AmountOutOfRange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, amount := range []int64{0, -5, math.MinInt64, creditledger.MaxBalance + 1, math.MaxInt64} {
		_, err := b.debit(t, amount)
		require.ErrorIs(t, err, creditledger.ErrAmountOutOfRange)
		_, err = b.ledger.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: b.userID, Amount: amount})
		require.ErrorIs(t, err, creditledger.ErrAmountOutOfRange)
	}
	require.Empty(t, b.history(t))
}
