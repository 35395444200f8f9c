package creditledger_test

import (
	"fmt"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
)

// world is a few accounts and what was made in them, which acts name by number:
// an act means the same in every world with the same past.
//
// Clocks of worlds go on by milliseconds, and what ends does so half a
// millisecond later, so that it does not matter how many records an account has
// made in a moment, each of which takes a microsecond.
type world struct {
	*bundle
	accounts [2]*inhabitant
}

type inhabitant struct {
	userID uuid.UUID
	grants []uuid.UUID
	holds  []uuid.UUID
	made   []uuid.UUID // transactions that can be reversed
}

func newWorld(t T, b *bundle) *world {
	t.Helper()
	w := &world{bundle: b.fork(t)}
	w.accounts[0] = &inhabitant{userID: w.userID}
	w.clock.Set(epoch.Add(-time.Hour))
	w.accounts[1] = &inhabitant{userID: w.openAccount(t, uuid.New())}
	w.clock.Set(epoch)
	return w
}

// act is something done in a world; it tells what became of it.
type act func(t T, w *world) string

// half is when something ends that lasts so many milliseconds.
func half(ms int) time.Duration {
	return time.Duration(ms)*time.Millisecond + 500*time.Microsecond
}

// drawAct draws something to do, which may let time pass.
func drawAct(t *rapid.T) act {
	on := rapid.IntRange(0, 1).Draw(t, "account")
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0:
		ms := rapid.IntRange(0, 3).Draw(t, "ms")
		return func(_ T, w *world) string {
			w.clock.Advance(time.Duration(ms) * time.Millisecond)
			return "time passes"
		}
	case 1:
		amount := amounts.Draw(t, "amount")
		return func(t T, w *world) string { return w.transfer(t, on, amount) }
	}
	return drawActOn(t, on)
}

// drawActOn draws something to do to an account alone.
func drawActOn(t *rapid.T, on int) act {
	amount, index := amounts.Draw(t, "amount"), rapid.IntRange(0, 99).Draw(t, "index")
	flag, ms := rapid.Bool().Draw(t, "flag"), rapid.IntRange(0, 5).Draw(t, "ms")
	what := rapid.SampledFrom([]string{"grant", "grant", "grant", "debit", "debit", "hold", "capture", "increment", "void", "revoke", "reverse"}).Draw(t, "what")
	priority := rapid.Int16Range(0, 2).Draw(t, "priority")
	return func(t T, w *world) string {
		switch what {
		case "grant":
			g := creditledger.GrantParams{Amount: amount, Priority: priority}
			if flag {
				g.ExpiresAt = ptr(w.clock.Now().Truncate(time.Millisecond).Add(half(ms)))
			}
			return w.giveTo(t, on, g)
		case "debit":
			return w.spend(t, on, amount, flag)
		case "hold":
			return w.hold(t, on, amount, half(ms))
		case "capture":
			var some *int64
			if amount < creditledger.MaxBalance {
				some = &amount
			}
			return w.capture(t, on, index, some, flag)
		case "increment":
			return w.increment(t, on, index, amount)
		case "void":
			return w.void(t, on, index)
		case "revoke":
			return w.revoke(t, on, index)
		default:
			var some *int64
			if flag {
				some = &amount
			}
			return w.reverse(t, on, index, some)
		}
	}
}

func (w *world) giveTo(t T, on int, g creditledger.GrantParams) string {
	a := w.accounts[on]
	g.UserID = a.userID
	r, err := w.ledger.Grant(t.Context(), w.request(), g)
	return w.remember(a, "grant", r.Transaction, err)
}

func (w *world) spend(t T, on int, amount int64, partly bool) string {
	a := w.accounts[on]
	r, err := w.ledger.Debit(t.Context(), w.request(), creditledger.DebitParams{UserID: a.userID, Amount: amount, AllowPartial: partly})
	return w.remember(a, "debit", r.Transaction, err)
}

func (w *world) hold(t T, on int, amount int64, lasts time.Duration) string {
	a := w.accounts[on]
	r, err := w.ledger.Hold(t.Context(), w.request(), creditledger.HoldParams{UserID: a.userID, Amount: amount, ExpiresIn: lasts})
	if err == nil {
		a.holds = append(a.holds, r.Hold.ID)
	}
	return heldAs("hold", r, err)
}

func (w *world) capture(t T, on, index int, amount *int64, final bool) string {
	a := w.accounts[on]
	r, err := w.ledger.CaptureHold(t.Context(), w.request(), pick(a.holds, index), creditledger.CaptureParams{Amount: amount, Final: final})
	if err == nil {
		a.made = append(a.made, *r.Hold.TransactionID)
	}
	return heldAs("capture", r, err)
}

func (w *world) increment(t T, on, index int, amount int64) string {
	r, err := w.ledger.IncrementHold(t.Context(), w.request(), pick(w.accounts[on].holds, index), amount)
	return heldAs("increment", r, err)
}

func (w *world) void(t T, on, index int) string {
	r, err := w.ledger.VoidHold(t.Context(), w.request(), pick(w.accounts[on].holds, index))
	return heldAs("void", r, err)
}

func (w *world) revoke(t T, on, index int) string {
	a := w.accounts[on]
	r, err := w.ledger.RevokeGrant(t.Context(), w.request(), pick(a.grants, index))
	return w.remember(a, "revoke", r.Transaction, err)
}

func (w *world) reverse(t T, on, index int, amount *int64) string {
	a := w.accounts[on]
	r, err := w.ledger.Reverse(t.Context(), w.request(), pick(a.made, index), creditledger.ReversalParams{Amount: amount})
	return w.remember(a, "reverse", r.Transaction, err)
}

func (w *world) transfer(t T, from int, amount int64) string {
	r, err := w.ledger.Transfer(t.Context(), w.request(), creditledger.TransferParams{
		FromUserID: w.accounts[from].userID, ToUserID: w.accounts[1-from].userID, Amount: amount,
	})
	return w.remember(w.accounts[from], "transfer", r.Debit, err) + w.remember(w.accounts[1-from], "", r.Credit, err)
}

func (w *world) available(t T, on int) int64 {
	balance, err := w.ledger.Balance(t.Context(), w.accounts[on].userID)
	require.NoError(t, err)
	return balance.Available()
}

// remember keeps the ids of what was made, and tells what became of a request in
// words that are the same in every world.
func (w *world) remember(a *inhabitant, what string, x creditledger.Transaction, err error) string {
	if err != nil {
		return what + ": " + refusedAs(err)
	}
	if x.Type == creditledger.TypeGrant {
		a.grants = append(a.grants, *x.GrantID)
	}
	if x.Type == creditledger.TypeGrant || x.Type == creditledger.TypeDebit {
		a.made = append(a.made, x.ID)
	}
	// What one grant gave in parts it gave.
	burned := map[int]int64{}
	for _, share := range x.Burned {
		burned[slices.Index(a.grants, share.GrantID)] += share.Amount
	}
	return fmt.Sprintf("%s: %+d of grants %v, %d after", what, x.Amount, burned, x.BalanceAfter)
}

func heldAs(what string, r creditledger.HoldReceipt, err error) string {
	if err != nil {
		return what + ": " + refusedAs(err)
	}
	return fmt.Sprintf("%s: %d of %d captured, %s", what, r.Hold.Captured, r.Hold.Amount, r.Hold.Status)
}

func refusedAs(err error) string {
	refused := apperr.From(err)
	if refused.Shortfall != nil {
		return fmt.Sprint(refused.Code, *refused.Shortfall)
	}
	return refused.Code
}

// pick is the index-th of ids, counted round; uuid.Nil if there are none.
func pick(ids []uuid.UUID, index int) uuid.UUID {
	if len(ids) == 0 {
		return uuid.Nil
	}
	return ids[index%len(ids)]
}

// seen is all that can be read of an account, but for ids, times and numbers.
type seen struct {
	Balance, Held int64
	NextExpiry    *creditledger.Expiry
	Grants        []creditledger.Grant
	Holds         []creditledger.Hold
}

func (w *world) look(t T) (all []seen) {
	t.Helper()
	for _, a := range w.accounts {
		balance, err := w.ledger.Balance(t.Context(), a.userID)
		require.NoError(t, err)
		s := seen{Balance: balance.Balance, Held: balance.Held, NextExpiry: balance.NextExpiry}
		s.Grants, _, err = w.ledger.Grants(t.Context(), a.userID, creditledger.GrantPlace{}, 10_000)
		require.NoError(t, err)
		for i, g := range s.Grants {
			s.Grants[i] = creditledger.Grant{
				Amount: g.Amount, Remaining: g.Remaining, Held: g.Held, Priority: g.Priority, ExpiresAt: g.ExpiresAt, Status: g.Status, Part: g.Part,
			}
		}
		for _, id := range a.holds {
			h, err := w.ledger.GetHold(t.Context(), id)
			require.NoError(t, err)
			s.Holds = append(s.Holds, creditledger.Hold{Amount: h.Amount, Captured: h.Captured, Status: h.Status})
		}
		all = append(all, s)
	}
	return all
}

// requireAlike requires that two worlds look the same.
func requireAlike(t T, left, right *world) {
	t.Helper()
	require.Empty(t, gocmp.Diff(left.look(t), right.look(t)))
}

// live does the same in all worlds, a few times, with the same outcome.
func live(t *rapid.T, worlds ...*world) {
	t.Helper()
	for range rapid.IntRange(0, 5).Draw(t, "acts") {
		do := drawAct(t)
		first := do(t, worlds[0])
		for _, w := range worlds[1:] {
			require.Equal(t, first, do(t, w))
		}
	}
}
