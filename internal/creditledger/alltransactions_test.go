package creditledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

func TestLedger_AllTransactions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.openAccount(t, uuid.New())
	var all []creditledger.Transaction // newest first
	for i := range 12 {                // a second apart
		b.clock.Set(epoch.Add(time.Duration(i) * time.Second))
		user, reference := b.userID, ptr("a")
		if i%2 == 1 {
			user, reference = other, nil
		}
		var r creditledger.Receipt
		var err error
		if i < 6 {
			r, err = b.ledger.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: user, Amount: 10, Reference: reference})
		} else {
			r, err = b.ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{UserID: user, Amount: 1, Reference: reference, Note: creditledger.Note{Description: ptr("text")}})
		}
		require.NoError(t, err)
		all = append(all, r.Transaction)
	}
	slices.Reverse(all)

	t.Run("PagesWhileRowsAreInserted", func(t *testing.T) {
		later := b.fork(t)
		later.clock.Set(epoch.Add(time.Hour))
		var got []creditledger.Transaction
		for before, more := uuid.Max, true; more; before = got[len(got)-1].ID {
			var page []creditledger.Transaction
			var err error
			page, more, err = b.ledger.AllTransactions(t.Context(), creditledger.AllTransactionsFilter{Before: before, To: in(time.Minute), Limit: 5})
			require.NoError(t, err)
			got = append(got, page...)
			require.Equal(t, len(got) < len(all), more)
			later.grant(t, creditledger.GrantParams{Amount: 1})
		}
		requireSame(t, all, got)
	})

	type filter = creditledger.AllTransactionsFilter
	for _, c := range []struct {
		name   string
		filter filter
		want   []creditledger.Transaction
	}{
		{"Type", filter{Type: ptr("grant"), To: in(time.Minute)}, all[6:]},
		{"TypeThatNoneHas", filter{Type: ptr("reversal")}, nil},
		{"Reference", filter{Reference: ptr("a")}, []creditledger.Transaction{all[1], all[3], all[5], all[7], all[9], all[11]}},
		{"TypeAndReference", filter{Type: ptr("debit"), Reference: ptr("a")}, []creditledger.Transaction{all[1], all[3], all[5]}},
		{"FromIncludesItsMoment", filter{From: in(9 * time.Second), To: in(time.Minute)}, all[:3]},
		{"FromANanosecondLater", filter{From: in(9*time.Second + 1), To: in(time.Minute)}, all[:2]},
		{"ToExcludesItsMoment", filter{To: in(2 * time.Second)}, all[10:]},
		{"ToANanosecondLater", filter{To: in(2*time.Second + 1)}, all[9:]},
		{"FromTo", filter{From: in(3 * time.Second), To: in(5 * time.Second)}, all[7:9]},
		{"FromBehindTo", filter{From: in(5 * time.Second), To: in(3 * time.Second)}, nil},
		{"BeforeAndTo", filter{Before: all[9].ID, To: in(time.Minute)}, all[10:]},
		{"ToBeforeBefore", filter{Before: all[2].ID, To: in(time.Second)}, all[11:]},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.filter.Limit = 100
			if c.filter.Before == uuid.Nil {
				c.filter.Before = uuid.Max
			}
			got, more, err := b.ledger.AllTransactions(t.Context(), c.filter)
			require.NoError(t, err)
			require.False(t, more)
			requireSame(t, c.want, got)
		})
	}
}
