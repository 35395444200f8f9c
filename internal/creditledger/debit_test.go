package creditledger_test

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
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
	other := b.fork(t)
	granted := b.grant(t, creditledger.GrantParams{Amount: 10})
	h := b.place(t, 5)
	before := b.balance(t)
	for _, amount := range []int64{0, -5, math.MinInt64, creditledger.MaxBalance + 1, math.MaxInt64} {
		all := []creditledger.BulkOperation{
			creditledger.GrantParams{UserID: b.userID, Amount: amount},
			creditledger.DebitParams{UserID: b.userID, Amount: amount},
			creditledger.TransferParams{FromUserID: b.userID, ToUserID: other.userID, Amount: amount},
		}
		errs := make([]error, 7)
		_, errs[0] = b.ledger.Grant(t.Context(), b.request(), all[0].(creditledger.GrantParams))
		_, errs[1] = b.ledger.Debit(t.Context(), b.request(), all[1].(creditledger.DebitParams))
		_, errs[2] = b.ledger.Transfer(t.Context(), b.request(), all[2].(creditledger.TransferParams))
		_, errs[3] = b.ledger.Hold(t.Context(), b.request(), creditledger.HoldParams{UserID: b.userID, Amount: amount, ExpiresIn: time.Hour})
		_, errs[4] = b.ledger.IncrementHold(t.Context(), b.request(), h.ID, amount)
		_, errs[5] = b.capture(t, h.ID, &amount, true)
		_, errs[6] = b.ledger.Reverse(t.Context(), b.request(), granted.ID, creditledger.ReversalParams{Amount: &amount})
		for i, err := range errs {
			require.ErrorIs(t, err, creditledger.ErrAmountOutOfRange, i)
		}

		results, err := b.ledger.Bulk(t.Context(), b.request(), false, all)
		require.NoError(t, err)
		for i, operation := range all {
			require.Equal(t, http.StatusUnprocessableEntity, results.Results[i].Status)
			fine := creditledger.GrantParams{UserID: b.userID, Amount: 1}
			_, err := b.ledger.Bulk(t.Context(), b.request(), true, []creditledger.BulkOperation{fine, operation})
			require.Equal(t, []apperr.Field{{Pointer: "/operations/1/amount", Message: "must be from 1 to 9007199254740991"}}, apperr.From(err).Fields)
		}
	}
	require.Equal(t, before, b.balance(t))
	require.Empty(t, other.history(t))
}
