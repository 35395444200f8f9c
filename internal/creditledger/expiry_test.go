package creditledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
)

// A grant can be spent until the moment at which it expires, and not in it.
func TestLedger_ExpiryBoundary(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct {
		name    string
		at      time.Duration // after the expiry
		expired bool
	}{
		{"JustBefore", -time.Microsecond, false},
		{"InTheMoment", 0, true},
		{"JustAfter", time.Microsecond, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := b.fork(t)
			made := b.grant(t, creditledger.GrantParams{Amount: 10, ExpiresAt: in(time.Hour)})
			b.clock.Advance(time.Hour + c.at)

			// Before any posting, reads know already.
			balance, grant := b.balance(t), b.grants(t)[0]
			if c.expired {
				require.Zero(t, balance.Balance)
				require.Nil(t, balance.NextExpiry)
				require.Equal(t, creditledger.GrantExpired, grant.Status)
				require.Zero(t, grant.Remaining)

				_, err := b.debit(t, 1)
				requireShortfall(t, err, 1, 0)
				return
			}
			require.Equal(t, int64(10), balance.Balance)
			require.Empty(t, cmp.Diff(&creditledger.Expiry{Amount: 10, At: epoch.Add(time.Hour)}, balance.NextExpiry))
			require.Equal(t, creditledger.GrantActive, grant.Status)
			require.Equal(t, int64(10), grant.Remaining)

			got, err := b.debit(t, 1)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff([]creditledger.Burn{{GrantID: *made.GrantID, Amount: 1}}, got.Burned))
		})
	}
}

func TestLedger_Expiry(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("IsKeptAlthoughTheDebitIsRefused", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		made := b.grant(t, creditledger.GrantParams{Amount: 10, ExpiresAt: in(time.Hour)})
		b.clock.Advance(time.Hour)
		_, err := b.debit(t, 10)
		requireShortfall(t, err, 10, 0)

		history := b.history(t)
		require.Len(t, history, 2)
		got := history[1]
		requireSame(t, creditledger.Transaction{
			UserID: b.userID, Sequence: 2, ID: got.ID, Type: creditledger.TypeExpiry, Amount: -10, BalanceAfter: 0,
			GrantID: made.GrantID, Burned: []creditledger.Burn{{GrantID: *made.GrantID, Amount: 10}},
			Actor: creditledger.Actor{Type: creditledger.ActorSystem}, Hash: got.Hash, CreatedAt: epoch.Add(time.Hour),
		}, got)
	})

	t.Run("TakesOnlyWhatWasLeft", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10, ExpiresAt: in(time.Hour)})
		b.grant(t, creditledger.GrantParams{Amount: 100})
		_, err := b.debit(t, 4)
		require.NoError(t, err)
		b.clock.Advance(time.Hour)
		got, err := b.debit(t, 1)
		require.NoError(t, err)
		require.Equal(t, int64(99), got.BalanceAfter)
		require.Equal(t, int64(-6), b.history(t)[3].Amount)
	})

	t.Run("NothingLeftNothingExpires", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10, ExpiresAt: in(time.Hour)})
		_, err := b.debit(t, 10)
		require.NoError(t, err)
		b.clock.Advance(time.Hour)
		_, err = b.debit(t, 1)
		requireShortfall(t, err, 1, 0)
		require.Len(t, b.history(t), 2)
	})

	t.Run("OnceOnly", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10, ExpiresAt: in(time.Hour)})
		b.clock.Advance(time.Hour)
		for range 3 {
			_, err := b.debit(t, 1)
			requireShortfall(t, err, 1, 0)
		}
		require.Len(t, b.history(t), 2)
	})

	t.Run("InTheOrderOfExpiry", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		late := b.grant(t, creditledger.GrantParams{Amount: 1, ExpiresAt: in(2 * time.Hour)})
		soon := b.grant(t, creditledger.GrantParams{Amount: 2, ExpiresAt: in(time.Hour), Priority: 100})
		stays := b.grant(t, creditledger.GrantParams{Amount: 4, ExpiresAt: in(4 * time.Hour)})
		b.clock.Advance(3 * time.Hour)
		got, err := b.debit(t, 4)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff([]creditledger.Burn{{GrantID: *stays.GrantID, Amount: 4}}, got.Burned))

		history := b.history(t)
		require.Len(t, history, 6)
		require.Equal(t, soon.GrantID, history[3].GrantID)
		require.Equal(t, late.GrantID, history[4].GrantID)
		require.Equal(t, got.ID, history[5].ID)
	})
}

func TestLedger_NextExpiry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Nil(t, b.balance(t).NextExpiry)
	b.grant(t, creditledger.GrantParams{Amount: 1000})
	require.Nil(t, b.balance(t).NextExpiry, "what never expires is not next")

	b.grant(t, creditledger.GrantParams{Amount: 1, ExpiresAt: in(2 * time.Hour)})
	b.grant(t, creditledger.GrantParams{Amount: 10, ExpiresAt: in(time.Hour)})
	b.grant(t, creditledger.GrantParams{Amount: 20, ExpiresAt: in(time.Hour), Priority: 1})
	require.Empty(t, cmp.Diff(&creditledger.Expiry{Amount: 30, At: epoch.Add(time.Hour)}, b.balance(t).NextExpiry))

	_, err := b.debit(t, 10)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(&creditledger.Expiry{Amount: 20, At: epoch.Add(time.Hour)}, b.balance(t).NextExpiry))

	b.clock.Advance(time.Hour)
	require.Empty(t, cmp.Diff(&creditledger.Expiry{Amount: 1, At: epoch.Add(2 * time.Hour)}, b.balance(t).NextExpiry))
	b.clock.Advance(time.Hour)
	require.Nil(t, b.balance(t).NextExpiry)
	require.Equal(t, int64(1000), b.balance(t).Balance)
	require.Equal(t, int64(1000), b.balance(t).Available())
}

func TestLedger_GrantStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	depleted := b.grant(t, creditledger.GrantParams{Amount: 10, ExpiresAt: in(time.Hour)})
	partlyUsed := b.grant(t, creditledger.GrantParams{Amount: 10, ExpiresAt: in(2 * time.Hour)})
	active := b.grant(t, creditledger.GrantParams{Amount: 10})
	_, err := b.debit(t, 14)
	require.NoError(t, err)

	type state struct {
		Status    creditledger.GrantStatus
		Remaining int64
	}
	states := func() []state {
		grants := b.grants(t)
		require.Len(t, grants, 3)
		out := make([]state, 0, 3)
		for i, made := range []creditledger.Transaction{depleted, partlyUsed, active} {
			g := grants[2-i]
			require.Equal(t, *made.GrantID, g.ID)
			out = append(out, state{g.Status, g.Remaining})
		}
		return out
	}
	before := []state{{creditledger.GrantDepleted, 0}, {creditledger.GrantActive, 6}, {creditledger.GrantActive, 10}}
	require.Empty(t, cmp.Diff(before, states()))

	b.clock.Advance(2 * time.Hour)
	after := []state{{creditledger.GrantDepleted, 0}, {creditledger.GrantExpired, 0}, {creditledger.GrantActive, 10}}
	require.Empty(t, cmp.Diff(after, states()), "before a posting")
	_, err = b.debit(t, 11)
	requireShortfall(t, err, 11, 10)
	require.Empty(t, cmp.Diff(after, states()), "after a posting")
}

// PostgreSQL keeps microseconds: what is answered at once and what is read later are the same.
func TestLedger_ClockOfNanoseconds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.Set(epoch.Add(1999 * time.Nanosecond).In(time.FixedZone("", 3600)))
	got := b.grant(t, creditledger.GrantParams{Amount: 1})
	require.Equal(t, epoch.Add(time.Microsecond), got.CreatedAt)
	requireSame(t, []creditledger.Transaction{got}, b.history(t))
}

func TestLedger_ClockThatStandsStill(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 5 {
		b.grant(t, creditledger.GrantParams{Amount: 1})
	}
	for i, x := range b.history(t) {
		require.Equal(t, epoch.Add(time.Duration(i)*time.Microsecond), x.CreatedAt)
	}
}

func TestLedger_ClockThatGoesBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 10, ExpiresAt: in(time.Hour)})
	b.grant(t, creditledger.GrantParams{Amount: 100})
	b.clock.Advance(2 * time.Hour)
	_, err := b.debit(t, 1)
	require.NoError(t, err)
	last := epoch.Add(2*time.Hour + time.Microsecond) // the expiry came first
	require.Equal(t, last, b.balance(t).UpdatedAt)

	b.clock.Set(epoch)
	require.Equal(t, int64(99), b.balance(t).Balance, "what expired stays expired")
	require.Equal(t, creditledger.GrantExpired, b.grants(t)[1].Status)
	got, err := b.debit(t, 99)
	require.NoError(t, err)
	require.Equal(t, last.Add(time.Microsecond), got.CreatedAt)

	_, err = b.ledger.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 1, ExpiresAt: in(time.Hour)})
	require.Equal(t, apperr.Invalid, apperr.From(err).Kind, "the account has been later than that")
}
