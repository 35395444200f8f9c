package creditledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

func TestLedger_DebitsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 35})
	b.grant(t, creditledger.GrantParams{Amount: 65})
	errs := make([]error, 64)
	atOnce(len(errs), func(i int) {
		_, errs[i] = b.ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 10})
	})

	applied := 0
	for _, err := range errs {
		if err == nil {
			applied++
			continue
		}
		requireShortfall(t, err, 10, 0)
	}
	require.Equal(t, 10, applied)
	require.Zero(t, b.balance(t).Balance)

	history, balance := b.history(t), int64(0)
	require.Len(t, history, 12)
	for i, x := range history {
		balance += x.Amount
		require.Equal(t, int64(i+1), x.Sequence)
		require.Equal(t, balance, x.BalanceAfter)
		if i >= 2 {
			require.Equal(t, int64(-10), x.Amount)
		}
	}
	require.Zero(t, balance)
}

func TestLedger_PartialDebitsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 25})
	taken := make([]int64, 16)
	errs := make([]error, len(taken))
	atOnce(len(taken), func(i int) {
		r, err := b.ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 10, AllowPartial: true})
		taken[i], errs[i] = -r.Transaction.Amount, err
	})
	count := map[int64]int{}
	for i, err := range errs {
		if err != nil {
			requireShortfall(t, err, 10, 0)
		}
		count[taken[i]]++
	}
	require.Equal(t, map[int64]int{10: 2, 5: 1, 0: 13}, count)
}
