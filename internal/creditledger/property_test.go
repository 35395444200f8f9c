package creditledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
)

// An account does what the model does, whatever is asked of it in whatever
// order, and with a clock that goes on, stands still or goes back.
func TestLedger_LikeTheModel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rapid.Check(t, func(t *rapid.T) {
		c := &comparison{bundle: b.fork(t), model: model{last: -time.Hour}}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			rapid.SampledFrom([]func(*rapid.T){c.doGrant, c.doDebit, c.doDebit, c.doClock}).Draw(t, "step")(t)
			c.requireSameState(t)
		}
	})
}

// comparison is an account and its model, to which the same is done.
type comparison struct {
	*bundle
	model model
	now   time.Duration
	ids   []uuid.UUID // of the model's lots
}

// amounts are small, so that they meet, or as large as can be.
var amounts = rapid.OneOf(rapid.Int64Range(1, 30), rapid.Int64Range(1, 30), rapid.Int64Range(1, 30), rapid.Just(int64(creditledger.MaxBalance)))

func (c *comparison) doClock(t *rapid.T) {
	c.now += time.Duration(rapid.IntRange(-3, 6).Draw(t, "go on by µs")) * time.Microsecond
	c.clock.Set(epoch.Add(c.now))
}

func (c *comparison) doGrant(t *rapid.T) {
	l := &modelLot{amount: amounts.Draw(t, "amount"), priority: rapid.Int16Range(0, 2).Draw(t, "priority"), expires: never}
	g := creditledger.GrantParams{UserID: c.userID, Amount: l.amount, Priority: l.priority}
	if rapid.Bool().Draw(t, "expires") {
		l.expires = c.now + time.Duration(rapid.IntRange(0, 12).Draw(t, "in µs"))*time.Microsecond
		g.ExpiresAt = in(l.expires)
	}
	invalid := l.expires <= c.model.moment(c.now)

	got, err := c.ledger.Grant(t.Context(), c.request(), g)
	switch {
	case invalid:
		require.Equal(t, apperr.Invalid, apperr.From(err).Kind)
	case !c.model.grant(c.now, l):
		require.ErrorIs(t, err, creditledger.ErrBalanceLimitExceeded)
	default:
		require.NoError(t, err)
		c.ids = append(c.ids, *got.Transaction.GrantID)
		c.requireSamePlace(t, got.Transaction)
	}
}

func (c *comparison) doDebit(t *rapid.T) {
	amount, partly := amounts.Draw(t, "amount"), rapid.Bool().Draw(t, "partly")
	want := c.model.debit(c.now, amount, partly)
	got, err := c.ledger.Debit(t.Context(), c.request(), creditledger.DebitParams{UserID: c.userID, Amount: amount, AllowPartial: partly})
	if want == nil {
		requireShortfall(t, err, amount, c.model.balance())
		return
	}
	require.NoError(t, err)
	burned := make([]creditledger.Burn, len(want))
	for i, w := range want {
		burned[i] = creditledger.Burn{GrantID: c.ids[w.lot], Amount: w.amount}
	}
	require.Empty(t, cmp.Diff(burned, got.Transaction.Burned))
	c.requireSamePlace(t, got.Transaction)
}

// requireSamePlace compares where in the account a transaction came to stand.
func (c *comparison) requireSamePlace(t *rapid.T, got creditledger.Transaction) {
	require.Equal(t, c.model.balance(), got.BalanceAfter)
	require.Equal(t, c.model.sequence, got.Sequence)
	require.Equal(t, epoch.Add(c.model.last), got.CreatedAt)
}

func (c *comparison) requireSameState(t *rapid.T) {
	balance, next, grants := c.model.read(c.now)
	want := creditledger.Balance{
		UserID: c.userID, Balance: balance, Sequence: c.model.sequence, NextExpiry: next, UpdatedAt: epoch.Add(c.model.last),
	}
	require.Empty(t, cmp.Diff(want, c.balance(t)))

	var got []modelGrant
	for _, g := range c.grants(t) {
		got = append([]modelGrant{{g.Amount, g.Remaining, g.Status}}, got...)
	}
	require.Equal(t, grants, got)
}
