package creditledger_test

import (
	"flag"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/pgtest"
)

func TestMain(m *testing.M) {
	// Each check has dozens of steps on a database; -rapid.checks says more or fewer.
	_ = flag.Set("rapid.checks", "8")
	pgtest.Main(m)
}

// Accounts do what the model does, whatever is asked of them in whatever order,
// and with a clock that goes on, stands still or goes back.
func TestLedger_LikeTheModel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rapid.Check(t, func(t *rapid.T) {
		c := newComparison(t, b)
		for range rapid.IntRange(20, 60).Draw(t, "steps") {
			c.step(t)
			c.requireSameState(t)
		}
		c.requireSamePast(t)
	})
}

// comparison is two accounts and their models, to which the same is done.
type comparison struct {
	*bundle
	now      time.Duration
	accounts [2]*compared
}

type compared struct {
	userID uuid.UUID
	model  model
	// The ids of what the model has, in its order.
	lots, holds, made []uuid.UUID
	history           []creditledger.Transaction
}

func newComparison(t T, b *bundle) *comparison {
	t.Helper()
	c := &comparison{bundle: b.fork(t)}
	c.accounts[0] = &compared{userID: c.userID, model: model{last: -time.Hour}}
	c.clock.Set(epoch.Add(-time.Hour))
	c.accounts[1] = &compared{userID: c.openAccount(t, uuid.New()), model: model{last: -time.Hour}}
	c.clock.Set(epoch)
	return c
}

// amounts are small, so that they meet, or as large as can be.
var amounts = rapid.OneOf(rapid.Int64Range(1, 30), rapid.Int64Range(1, 30), rapid.Int64Range(1, 30), rapid.Just(int64(creditledger.MaxBalance)))

func micros(t *rapid.T, from, to int, label string) time.Duration {
	return time.Duration(rapid.IntRange(from, to).Draw(t, label)) * time.Microsecond
}

// step does one thing to one of the accounts.
func (c *comparison) step(t *rapid.T) {
	a := c.accounts[rapid.IntRange(0, 1).Draw(t, "account")]
	steps := []func(*rapid.T, *compared) (string, error, error){
		c.doGrant, c.doGrant, c.doDebit, c.doDebit, c.doPlace, c.doPlace, c.doTransfer,
		c.doHold, c.doHold, c.doRevoke, c.doReverse, c.doReverse,
	}
	if rapid.IntRange(0, 4).Draw(t, "clock") == 0 {
		c.now += micros(t, -3, 9, "go on by µs")
		c.clock.Set(epoch.Add(c.now))
		return
	}
	what, want, got := steps[rapid.IntRange(0, len(steps)-1).Draw(t, "step")](t, a)
	if want == nil {
		require.NoError(t, got, what)
	} else {
		require.ErrorIs(t, got, want, what)
	}
	for _, a := range c.accounts {
		c.readOn(t, a)
	}
}

// readOn learns the ids of what was made.
func (c *comparison) readOn(t *rapid.T, a *compared) {
	page, _, err := c.ledger.Transactions(t.Context(), a.userID, creditledger.TransactionFilter{Limit: 10_000})
	require.NoError(t, err)
	slices.Reverse(page)
	a.history = page
	a.made = a.made[:0]
	for _, x := range page {
		a.made = append(a.made, x.ID)
	}
	grants := c.grantsOf(t, a)
	a.lots = a.lots[:0]
	for _, g := range grants {
		a.lots = append(a.lots, g.ID)
	}
}

func (c *comparison) doGrant(t *rapid.T, a *compared) (string, error, error) {
	l := &modelLot{amount: amounts.Draw(t, "amount"), priority: rapid.Int16Range(0, 2).Draw(t, "priority"), expires: never}
	g := creditledger.GrantParams{UserID: a.userID, Amount: l.amount, Priority: l.priority}
	if rapid.Bool().Draw(t, "expires") {
		l.expires = c.now + micros(t, 0, 12, "in µs")
		g.ExpiresAt = in(l.expires)
	}
	a.model.begin(c.now)
	want := a.model.grant(l)
	_, got := c.ledger.Grant(t.Context(), c.request(), g)
	return "grant", want, got
}

func (c *comparison) doDebit(t *rapid.T, a *compared) (string, error, error) {
	amount, partly := amounts.Draw(t, "amount"), rapid.Bool().Draw(t, "partly")
	a.model.begin(c.now)
	burned, want := a.model.debit(amount, partly)
	r, got := c.ledger.Debit(t.Context(), c.request(), creditledger.DebitParams{UserID: a.userID, Amount: amount, AllowPartial: partly})
	if got == nil {
		a.requireBurned(t, burned, r.Transaction.Burned)
	} else {
		requireShortfall(t, got, amount, a.model.available())
	}
	return "debit", want, got
}

func (a *compared) requireBurned(t *rapid.T, want []modelShare, got []creditledger.Burn) {
	burned := make([]creditledger.Burn, len(want))
	for i, w := range want {
		burned[i] = creditledger.Burn{GrantID: a.lots[slices.Index(a.model.lots, w.lot)], Amount: w.amount}
	}
	require.Empty(t, gocmp.Diff(burned, got))
}

func (c *comparison) doPlace(t *rapid.T, a *compared) (string, error, error) {
	amount, lasts := amounts.Draw(t, "amount"), micros(t, 1, 15, "lasts µs")
	a.model.begin(c.now)
	want := a.model.place(amount, a.model.at+lasts)
	a.model.end()
	r, got := c.ledger.Hold(t.Context(), c.request(), creditledger.HoldParams{UserID: a.userID, Amount: amount, ExpiresIn: lasts})
	if got == nil {
		a.holds = append(a.holds, r.Hold.ID)
	}
	return "hold", want, got
}

// doHold does something to a hold, if there is one.
func (c *comparison) doHold(t *rapid.T, a *compared) (what string, want, got error) {
	if len(a.holds) == 0 {
		_, got = c.ledger.VoidHold(t.Context(), c.request(), uuid.New())
		return "void of nothing", creditledger.ErrHoldNotFound, got
	}
	i := rapid.IntRange(0, len(a.holds)-1).Draw(t, "hold")
	h, id := a.model.holds[i], a.holds[i]
	var r creditledger.HoldReceipt
	a.model.begin(c.now)
	switch what = rapid.SampledFrom([]string{"capture", "capture", "increment", "void"}).Draw(t, "what"); what {
	case "capture":
		p := creditledger.CaptureParams{Final: rapid.Bool().Draw(t, "final")}
		if rapid.Bool().Draw(t, "part") {
			p.Amount = ptr(rapid.Int64Range(1, 30).Draw(t, "amount"))
		}
		_, want = a.model.capture(h, p.Amount, p.Final)
		r, got = c.ledger.CaptureHold(t.Context(), c.request(), id, p)
	case "increment":
		amount := amounts.Draw(t, "amount")
		want = a.model.pin(h, amount)
		r, got = c.ledger.IncrementHold(t.Context(), c.request(), id, amount)
	case "void":
		want = a.model.void(h)
		r, got = c.ledger.VoidHold(t.Context(), c.request(), id)
	}
	a.model.end()
	if got == nil {
		require.Equal(t, h.status, r.Hold.Status)
		require.Equal(t, h.amount, r.Hold.Amount)
		require.Equal(t, h.captured, r.Hold.Captured)
	}
	return what, want, got
}

func (c *comparison) doTransfer(t *rapid.T, from *compared) (string, error, error) {
	to := c.accounts[0]
	if from == to {
		to = c.accounts[1]
	}
	amount := amounts.Draw(t, "amount")
	from.model.begin(c.now)
	to.model.begin(c.now)
	want := from.model.transfer(&to.model, amount)
	if want == nil {
		to.model.end()
	}
	r, got := c.ledger.Transfer(t.Context(), c.request(), creditledger.TransferParams{FromUserID: from.userID, ToUserID: to.userID, Amount: amount})
	if got == nil {
		require.Equal(t, -amount, r.Debit.Amount)
		require.Equal(t, amount, r.Credit.Amount)
		require.Equal(t, r.Debit.TransferID, r.Credit.TransferID)
	}
	return "transfer", want, got
}

func (c *comparison) doRevoke(t *rapid.T, a *compared) (string, error, error) {
	if len(a.lots) == 0 {
		_, got := c.ledger.RevokeGrant(t.Context(), c.request(), uuid.New())
		return "revocation of nothing", creditledger.ErrGrantNotFound, got
	}
	i := rapid.IntRange(0, len(a.lots)-1).Draw(t, "grant")
	a.model.begin(c.now)
	want := a.model.revoke(a.model.lots[i])
	_, got := c.ledger.RevokeGrant(t.Context(), c.request(), a.lots[i])
	return "revocation", want, got
}

func (c *comparison) doReverse(t *rapid.T, a *compared) (string, error, error) {
	if len(a.made) == 0 {
		_, got := c.ledger.Reverse(t.Context(), c.request(), uuid.New(), creditledger.ReversalParams{})
		return "reversal of nothing", creditledger.ErrTransactionNotFound, got
	}
	i := rapid.IntRange(0, len(a.made)-1).Draw(t, "transaction")
	var amount *int64
	if rapid.Bool().Draw(t, "part") {
		amount = ptr(rapid.Int64Range(1, 30).Draw(t, "amount"))
	}
	a.model.begin(c.now)
	want := a.model.reverse(a.model.made[i], amount)
	if want == nil {
		a.model.end()
	}
	_, got := c.ledger.Reverse(t.Context(), c.request(), a.made[i], creditledger.ReversalParams{Amount: amount})
	return "reversal", want, got
}

func (c *comparison) grantsOf(t *rapid.T, a *compared) []creditledger.Grant {
	page, more, err := c.ledger.Grants(t.Context(), a.userID, creditledger.GrantPlace{}, 10_000)
	require.NoError(t, err)
	require.False(t, more)
	slices.Reverse(page)
	return page
}

// requireSameState compares all that readers see.
func (c *comparison) requireSameState(t *rapid.T) {
	for _, a := range c.accounts {
		want := a.model.read(c.now)
		if c.now >= a.model.last {
			a.model.seen = append(a.model.seen, want)
		}
		balance, err := c.ledger.Balance(t.Context(), a.userID)
		require.NoError(t, err)
		require.Empty(t, gocmp.Diff(creditledger.Balance{
			UserID: a.userID, Balance: want.balance, Held: want.held, Sequence: want.sequence,
			NextExpiry: want.next, UpdatedAt: epoch.Add(a.model.last),
		}, balance))

		var grants []modelGrant
		for _, g := range c.grantsOf(t, a) {
			grants = append(grants, modelGrant{g.Amount, g.Remaining, g.Held, g.Status})
		}
		require.Equal(t, want.grants, grants)

		var holds []creditledger.HoldStatus
		for _, id := range a.holds {
			h, err := c.ledger.GetHold(t.Context(), id)
			require.NoError(t, err)
			holds = append(holds, h.Status)
		}
		require.Equal(t, want.holds, holds)

		require.Len(t, a.history, len(a.model.made))
		var sum int64
		for i, x := range a.history {
			sum += x.Amount
			require.Equal(t, a.model.made[i].typ, x.Type)
			require.Equal(t, a.model.made[i].amount, x.Amount)
			require.Equal(t, sum, x.BalanceAfter)
			require.Equal(t, int64(i+1), x.Sequence)
		}
	}
}

// requireSamePast compares what readers saw at moments since with what is said
// of these moments now.
func (c *comparison) requireSamePast(t *rapid.T) {
	for _, a := range c.accounts {
		for _, v := range a.model.seen {
			c.clock.Set(epoch.Add(max(c.now, v.at)))
			got, err := c.ledger.BalanceAt(t.Context(), a.userID, epoch.Add(v.at))
			require.NoError(t, err)
			require.Equal(t, []int64{v.balance, v.held, v.sequence}, []int64{got.Balance, got.Held, got.Sequence}, "at %v", v.at)
		}
	}
}
