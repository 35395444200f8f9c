package creditledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

func TestLedger_Balance(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("EmptyAccount", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		require.Empty(t, cmp.Diff(creditledger.Balance{UserID: b.userID, UpdatedAt: epoch.Add(-time.Hour)}, b.balance(t)))
	})
	t.Run("AfterPostings", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		b.clock.Advance(time.Minute)
		_, err := b.debit(t, 3)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(creditledger.Balance{UserID: b.userID, Balance: 7, Sequence: 2, UpdatedAt: epoch.Add(time.Minute)}, b.balance(t)))
	})
	t.Run("UnknownUser", func(t *testing.T) {
		t.Parallel()
		_, err := b.ledger.Balance(t.Context(), uuid.New())
		require.ErrorIs(t, err, creditledger.ErrUserNotFound)
		_, err = b.ledger.BalanceAt(t.Context(), uuid.New(), epoch)
		require.ErrorIs(t, err, creditledger.ErrUserNotFound)
	})
	t.Run("UpToNow", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		now, err := b.ledger.BalanceAt(t.Context(), b.userID, epoch.Add(time.Microsecond-1))
		require.NoError(t, err)
		require.Equal(t, b.balance(t), now)
		_, err = b.ledger.BalanceAt(t.Context(), b.userID, epoch.Add(time.Microsecond))
		require.ErrorIs(t, err, creditledger.ErrInTheFuture)
	})
}

func TestLedger_Transactions(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("PagesWhileRowsAreInserted", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		for range 25 {
			b.grant(t, creditledger.GrantParams{Amount: 1})
		}
		before := b.history(t)
		slices.Reverse(before)

		var got []creditledger.Transaction
		filter, more := creditledger.TransactionFilter{Limit: 7}, true
		for more {
			var page []creditledger.Transaction
			var err error
			page, more, err = b.ledger.Transactions(t.Context(), b.userID, filter)
			require.NoError(t, err)
			require.Equal(t, more, len(got)+len(page) < 25)
			got = append(got, page...)
			filter.Before = page[len(page)-1].Sequence
			b.grant(t, creditledger.GrantParams{Amount: 1})
		}
		requireSame(t, before, got)
	})

	t.Run("PageOfJustThatSize", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		for range 3 {
			b.grant(t, creditledger.GrantParams{Amount: 1})
		}
		page, more, err := b.ledger.Transactions(t.Context(), b.userID, creditledger.TransactionFilter{Limit: 3})
		require.NoError(t, err)
		require.Len(t, page, 3)
		require.False(t, more)
	})

	t.Run("EmptyAccount", func(t *testing.T) {
		t.Parallel()
		require.Empty(t, b.fork(t).history(t))
	})

	t.Run("UnknownUser", func(t *testing.T) {
		t.Parallel()
		_, _, err := b.ledger.Transactions(t.Context(), uuid.New(), creditledger.TransactionFilter{Limit: 1})
		require.ErrorIs(t, err, creditledger.ErrUserNotFound)
	})
}

func TestLedger_TransactionFilter(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// One a minute: 1 grant a, 2 debit a, 3 debit b, 4 debit, 5 expiry, 6 grant.
	b.fork(t).grant(t, creditledger.GrantParams{Amount: 1, Reference: ptr("a")}) // another user's
	reference := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	_, err := b.ledger.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 10, ExpiresAt: in(4 * time.Minute), Reference: ptr("a")})
	require.NoError(t, err)
	for _, r := range []string{"a", "b", ""} {
		b.clock.Advance(time.Minute)
		_, err := b.ledger.Debit(t.Context(), b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 1, Reference: reference(r)})
		require.NoError(t, err)
	}
	b.clock.Advance(time.Minute)
	_, err = b.debit(t, 1)
	requireShortfall(t, err, 1, 0)
	b.clock.Advance(time.Minute)
	b.grant(t, creditledger.GrantParams{Amount: 1})

	type filter = creditledger.TransactionFilter
	for _, c := range []struct {
		name   string
		filter filter
		want   []int64
	}{
		{"All", filter{}, []int64{6, 5, 4, 3, 2, 1}},
		{"Type", filter{Type: ptr("debit")}, []int64{4, 3, 2}},
		{"TypeThatNoneHas", filter{Type: ptr("reversal")}, nil},
		{"Reference", filter{Reference: ptr("a")}, []int64{2, 1}},
		{"ReferenceThatNoneHas", filter{Reference: ptr("A")}, nil},
		{"TypeAndReference", filter{Type: ptr("debit"), Reference: ptr("a")}, []int64{2}},
		{"FromIncludesItsMoment", filter{From: in(2 * time.Minute)}, []int64{6, 5, 4, 3}},
		{"FromAMomentLater", filter{From: in(2*time.Minute + time.Microsecond)}, []int64{6, 5, 4}},
		{"ToExcludesItsMoment", filter{To: in(2 * time.Minute)}, []int64{2, 1}},
		{"ToAMomentLater", filter{To: in(2*time.Minute + time.Microsecond)}, []int64{3, 2, 1}},
		{"FromTo", filter{From: in(time.Minute), To: in(4 * time.Minute)}, []int64{4, 3, 2}},
		{"Before", filter{Before: 3}, []int64{2, 1}},
		{"BeforeTheFirst", filter{Before: 1}, nil},
		{"LimitCountsWhatIsChosen", filter{Type: ptr("debit"), Limit: 2}, []int64{4, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			limit := c.filter.Limit
			if limit == 0 {
				c.filter.Limit = 100
			}
			page, more, err := b.ledger.Transactions(t.Context(), b.userID, c.filter)
			require.NoError(t, err)
			require.Equal(t, limit != 0, more)
			var got []int64
			for _, x := range page {
				got = append(got, x.Sequence)
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestLedger_Grants(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("PagesWhileRowsAreInserted", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		var want []uuid.UUID
		for range 25 {
			want = append(want, *b.grant(t, creditledger.GrantParams{Amount: 1}).GrantID)
		}
		slices.Reverse(want)

		var got []uuid.UUID
		before, more := creditledger.GrantPlace{}, true
		for more {
			var page []creditledger.Grant
			var err error
			page, more, err = b.ledger.Grants(t.Context(), b.userID, before, 7)
			require.NoError(t, err)
			require.Equal(t, more, len(got)+len(page) < 25)
			for _, g := range page {
				got = append(got, g.ID)
			}
			before = page[len(page)-1].Place()
			b.grant(t, creditledger.GrantParams{Amount: 1})
		}
		require.Equal(t, want, got)
	})

	t.Run("PageOfJustThatSize", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		for range 3 {
			b.grant(t, creditledger.GrantParams{Amount: 1})
		}
		page, more, err := b.ledger.Grants(t.Context(), b.userID, creditledger.GrantPlace{}, 3)
		require.NoError(t, err)
		require.Len(t, page, 3)
		require.False(t, more)
	})

	t.Run("EmptyAccount", func(t *testing.T) {
		t.Parallel()
		require.Empty(t, b.fork(t).grants(t))
	})

	t.Run("UnknownUser", func(t *testing.T) {
		t.Parallel()
		_, _, err := b.ledger.Grants(t.Context(), uuid.New(), creditledger.GrantPlace{}, 1)
		require.ErrorIs(t, err, creditledger.ErrUserNotFound)
	})
}
