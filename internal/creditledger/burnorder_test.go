package creditledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

func TestLedger_BurnOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	day := 24 * time.Hour
	for _, c := range []struct {
		name   string
		grants []creditledger.GrantParams // of 10 each, in the order in which they are made
		order  []int                      // in which they burn
	}{
		{"OldestFirst", []creditledger.GrantParams{{}, {}, {}}, []int{0, 1, 2}},
		{"LowPriorityFirst", []creditledger.GrantParams{{Priority: 100}, {Priority: 0}, {Priority: 50}}, []int{1, 2, 0}},
		{"SoonestExpiryFirst", []creditledger.GrantParams{{ExpiresAt: in(3 * day)}, {ExpiresAt: in(day)}, {ExpiresAt: in(2 * day)}}, []int{1, 2, 0}},
		{"NeverExpiringLast", []creditledger.GrantParams{{}, {ExpiresAt: in(1000 * day)}, {}}, []int{1, 0, 2}},
		{"EqualExpiryByAge", []creditledger.GrantParams{{ExpiresAt: in(day)}, {ExpiresAt: in(day)}, {ExpiresAt: in(day)}}, []int{0, 1, 2}},
		{"PriorityBeforeExpiry", []creditledger.GrantParams{{Priority: 2, ExpiresAt: in(day)}, {Priority: 1}}, []int{1, 0}},
		{"ExpiryBeforeAge", []creditledger.GrantParams{{Priority: 1, ExpiresAt: in(2 * day)}, {Priority: 1, ExpiresAt: in(day)}}, []int{1, 0}},
		{"AllTogether", []creditledger.GrantParams{
			{Priority: 50}, {Priority: 50, ExpiresAt: in(2 * day)}, {Priority: 10}, {Priority: 50, ExpiresAt: in(day)}, {Priority: 10, ExpiresAt: in(9 * day)}, {Priority: 50},
		}, []int{4, 2, 3, 1, 0, 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := b.fork(t)
			made := make([]creditledger.Transaction, len(c.grants))
			for i, g := range c.grants {
				g.Amount = 10
				made[i] = b.grant(t, g)
			}
			// One from the first, then the rest of it, all of those between, and half of the last.
			first, err := b.debit(t, 1)
			require.NoError(t, err)
			rest, err := b.debit(t, int64(10*len(made))-1-5)
			require.NoError(t, err)

			want := make([]creditledger.Burn, len(made))
			for i, n := range c.order {
				want[i] = creditledger.Burn{GrantID: *made[n].GrantID, Amount: 10}
			}
			want[0].Amount, want[len(want)-1].Amount = 9, 5
			require.Empty(t, cmp.Diff([]creditledger.Burn{{GrantID: want[0].GrantID, Amount: 1}}, first.Burned))
			require.Empty(t, cmp.Diff(want, rest.Burned))
		})
	}
}

// The grants are read in pages of 8, 16, 32 …, until they hold enough.
func TestLedger_DebitOverManyGrants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct {
		name     string
		expiring int   // of the grants, which have 1 credit each
		staying  int   // the rest
		amount   int64 // debited after the expiry
	}{
		{"OnePage", 0, 60, 8},
		{"OneMoreThanAPage", 0, 60, 9},
		{"TwoPages", 0, 60, 24},
		{"OneMoreThanTwoPages", 0, 60, 25},
		{"AllOfThem", 0, 60, 60},
		{"AllOfThreeFullPages", 0, 56, 56},
		{"AFirstPageThatExpired", 8, 30, 30},
		{"PagesThatPartlyExpired", 30, 30, 29},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := b.fork(t)
			for range c.expiring {
				b.grant(t, creditledger.GrantParams{Amount: 1, ExpiresAt: in(time.Hour)})
			}
			var want []creditledger.Burn
			for range c.staying {
				made := b.grant(t, creditledger.GrantParams{Amount: 1})
				want = append(want, creditledger.Burn{GrantID: *made.GrantID, Amount: 1})
			}
			b.clock.Advance(2 * time.Hour)
			got, err := b.debit(t, c.amount)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(want[:c.amount], got.Burned))
			require.Equal(t, int64(c.staying)-c.amount, got.BalanceAfter)
		})
	}
	t.Run("OfAnAccountNamedTwice", func(t *testing.T) { // by one batch, which reads it once
		t.Parallel()
		b := b.fork(t)
		var want []creditledger.Burn
		for range 20 {
			made := b.grant(t, creditledger.GrantParams{Amount: 1})
			want = append(want, creditledger.Burn{GrantID: *made.GrantID, Amount: 1})
		}
		r, err := b.ledger.Bulk(t.Context(), b.request(), true, []creditledger.BulkOperation{
			creditledger.DebitParams{UserID: b.userID, Amount: 1},
			creditledger.GrantParams{UserID: b.fork(t).userID, Amount: 1},
			creditledger.DebitParams{UserID: b.userID, Amount: 12},
		})
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(want[1:13], r.Results[2].Transactions[0].Burned))
	})
}
