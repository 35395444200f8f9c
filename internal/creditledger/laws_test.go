package creditledger_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
)

// requireLaw requires that two ways, which draw draws, lead to the same: after
// any past, and for any future.
func requireLaw(t *testing.T, draw func(t *rapid.T, w *world) (left, right func(*world))) {
	t.Helper()
	b := setup(t)
	requireLawOn(t, b, b, draw)
}

func requireLawOn(t *testing.T, leftOn, rightOn *bundle, draw func(t *rapid.T, w *world) (left, right func(*world))) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		l, r := newWorld(t, leftOn), newWorld(t, rightOn)
		for _, w := range []*world{l, r} {
			w.giveTo(t, 0, creditledger.GrantParams{Amount: 40})
		}
		live(t, l, r)
		left, right := draw(t, l)
		left(l)
		right(r)
		requireAlike(t, l, r)
		live(t, l, r)
		requireAlike(t, l, r)
	})
}

func upTo(t *rapid.T, most int64, label string) int64 {
	return rapid.Int64Range(1, most).Draw(t, label)
}

// pass lets time pass, by which grants may expire.
func (w *world) pass(ms int) { w.clock.Advance(time.Duration(ms) * time.Millisecond) }

const minute = 60_000

func TestLaw_HoldAndCaptureIsDebit(t *testing.T) {
	t.Parallel()
	requireLaw(t, func(t *rapid.T, w *world) (left, right func(*world)) {
		available := w.available(t, 0)
		if available == 0 {
			t.Skip("nothing to hold")
		}
		held := upTo(t, available, "held")
		placed, captured := upTo(t, held, "placed"), upTo(t, held, "captured")
		undone, undo := upTo(t, captured, "undone"), rapid.Bool().Draw(t, "undo")
		var told [2][]string
		// undoIt undoes it in parts, and then once more.
		undoIt := func(w *world, way int) {
			last := len(w.accounts[0].made) - 1
			for _, amount := range []*int64{&undone, nil, nil} {
				if undo {
					told[way] = append(told[way], w.reverse(t, 0, last, amount))
				}
			}
		}
		return func(w *world) {
				w.hold(t, 0, placed, half(minute))
				last := len(w.accounts[0].holds) - 1
				if placed < held {
					w.increment(t, 0, last, held-placed)
				}
				w.capture(t, 0, last, &captured, true)
				w.accounts[0].holds = w.accounts[0].holds[:last]
				undoIt(w, 0)
			}, func(w *world) {
				w.spend(t, 0, captured, false)
				undoIt(w, 1)
				require.Equal(t, told[1], told[0])
			}
	})
}

func TestLaw_CapturesAddUp(t *testing.T) {
	t.Parallel()
	requireLaw(t, func(t *rapid.T, w *world) (left, right func(*world)) {
		available := w.available(t, 0)
		if available < 2 {
			t.Skip("nothing to hold")
		}
		held := rapid.Int64Range(2, available).Draw(t, "held")
		one := upTo(t, held-1, "one")
		other := upTo(t, held-one, "other")
		way := func(captures ...int64) func(*world) {
			return func(w *world) {
				a := w.accounts[0]
				w.hold(t, 0, held, half(minute))
				made := len(a.made)
				for i, amount := range captures {
					w.capture(t, 0, len(a.holds)-1, &amount, i == len(captures)-1)
				}
				a.made = a.made[:made]
			}
		}
		return way(one, other), way(one + other)
	})
}

func TestLaw_HoldAndVoidIsNothing(t *testing.T) {
	t.Parallel()
	requireLaw(t, func(t *rapid.T, w *world) (left, right func(*world)) {
		available := w.available(t, 0)
		if available == 0 {
			t.Skip("nothing to hold")
		}
		held := upTo(t, available, "held")
		placed, ms := upTo(t, held, "placed"), rapid.IntRange(0, 6).Draw(t, "ms")
		expires := rapid.Bool().Draw(t, "expires by itself")
		return func(w *world) {
				lasts := minute
				if expires {
					lasts = ms - 1
				}
				if expires && ms == 0 {
					return
				}
				w.hold(t, 0, placed, half(lasts))
				last := len(w.accounts[0].holds) - 1
				if placed < held {
					w.increment(t, 0, last, held-placed)
				}
				w.pass(ms)
				if !expires {
					w.void(t, 0, last)
				}
				w.accounts[0].holds = w.accounts[0].holds[:last]
			}, func(w *world) {
				w.pass(ms)
			}
	})
}

func TestLaw_DebitAndReversalIsTheDifference(t *testing.T) {
	t.Parallel()
	requireLaw(t, func(t *rapid.T, w *world) (left, right func(*world)) {
		available := w.available(t, 0)
		if available == 0 {
			t.Skip("nothing to debit")
		}
		amount := upTo(t, available, "amount")
		reversed, ms := upTo(t, amount, "reversed"), rapid.IntRange(0, 6).Draw(t, "ms")
		part := upTo(t, reversed, "first part")
		return func(w *world) {
				a := w.accounts[0]
				w.spend(t, 0, amount, false)
				w.pass(ms)
				last := len(a.made) - 1
				w.reverse(t, 0, last, &part)
				if part < reversed {
					w.reverse(t, 0, last, ptr(reversed-part))
				}
				if reversed == amount {
					a.made = a.made[:last]
				}
			}, func(w *world) {
				if reversed < amount {
					w.spend(t, 0, amount-reversed, false)
				}
				w.pass(ms)
			}
	})
}

// drawOperations draws what a batch may hold.
func drawOperations(t *rapid.T) []func(w *world) creditledger.BulkOperation {
	operations := make([]func(*world) creditledger.BulkOperation, rapid.IntRange(1, 8).Draw(t, "operations"))
	for i := range operations {
		on, amount := rapid.IntRange(0, 1).Draw(t, "account"), amounts.Draw(t, "amount")
		partly, unknown := rapid.Bool().Draw(t, "partly"), rapid.IntRange(0, 19).Draw(t, "unknown") == 0
		expires := rapid.SampledFrom([]int{-1, -1, 0, 2}).Draw(t, "expires")
		what := rapid.SampledFrom([]string{"grant", "debit", "debit", "transfer"}).Draw(t, "what")
		operations[i] = func(w *world) creditledger.BulkOperation {
			user, other := w.accounts[on].userID, w.accounts[1-on].userID
			if unknown {
				user = uuid.Max
			}
			switch what {
			case "grant":
				g := creditledger.GrantParams{UserID: user, Amount: amount}
				if expires >= 0 {
					g.ExpiresAt = ptr(w.clock.Now().Truncate(time.Millisecond).Add(half(expires)))
				}
				return g
			case "debit":
				return creditledger.DebitParams{UserID: user, Amount: amount, AllowPartial: partly}
			default:
				return creditledger.TransferParams{FromUserID: user, ToUserID: other, Amount: amount}
			}
		}
	}
	return operations
}

// together does operations in one batch and tells what became of them.
func (w *world) together(t T, atomic bool, operations []func(*world) creditledger.BulkOperation) (told []string, err error) {
	all := make([]creditledger.BulkOperation, len(operations))
	for i, o := range operations {
		all[i] = o(w)
	}
	r, err := w.ledger.Bulk(t.Context(), w.request(), atomic, all)
	if err != nil {
		return nil, err
	}
	for _, result := range r.Results {
		told = append(told, w.toldOf(result.Transactions, codeOf(result.Problem)))
	}
	return told, nil
}

// apart does operations one by one, until one is refused if so asked.
func (w *world) apart(t T, untilRefused bool, operations []func(*world) creditledger.BulkOperation) (told []string, refused error) {
	for _, o := range operations {
		var made []creditledger.Transaction
		var err error
		switch o := o(w).(type) {
		case creditledger.GrantParams:
			var r creditledger.Receipt
			r, err = w.ledger.Grant(t.Context(), w.request(), o)
			made = []creditledger.Transaction{r.Transaction}
		case creditledger.DebitParams:
			var r creditledger.Receipt
			r, err = w.ledger.Debit(t.Context(), w.request(), o)
			made = []creditledger.Transaction{r.Transaction}
		case creditledger.TransferParams:
			var r creditledger.TransferReceipt
			r, err = w.ledger.Transfer(t.Context(), w.request(), o)
			made = []creditledger.Transaction{r.Debit, r.Credit}
		}
		if err == nil {
			told = append(told, w.toldOf(made, ""))
			continue
		}
		if untilRefused {
			return told, err
		}
		told = append(told, w.toldOf(nil, apperr.From(err).Code))
	}
	return told, nil
}

// toldOf tells what became of an operation, times and numbers included.
func (w *world) toldOf(made []creditledger.Transaction, code string) string {
	told := code
	for _, x := range made {
		a := w.accounts[slices.IndexFunc(w.accounts[:], func(a *inhabitant) bool { return a.userID == x.UserID })]
		told += fmt.Sprint(w.remember(a, string(x.Type), x, nil), x.Sequence, x.CreatedAt)
	}
	return told
}

func TestLaw_IndependentBatchIsItsOperationsInOrder(t *testing.T) {
	t.Parallel()
	requireLaw(t, func(t *rapid.T, _ *world) (left, right func(*world)) {
		operations := drawOperations(t)
		var batch []string
		return func(w *world) {
				var err error
				batch, err = w.together(t, false, operations)
				require.NoError(t, err)
			}, func(w *world) {
				one, err := w.apart(t, false, operations)
				require.NoError(t, err)
				require.Equal(t, batch, one)
			}
	})
}

func TestLaw_AtomicBatchIsAllOrNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rapid.Check(t, func(t *rapid.T) {
		tried, batch, compared := newWorld(t, b), newWorld(t, b), newWorld(t, b)
		live(t, tried, batch, compared)
		operations := drawOperations(t)
		one, refused := tried.apart(t, true, operations)
		all, err := batch.together(t, true, operations)
		if refused == nil {
			require.NoError(t, err)
			require.Equal(t, one, all)
			_, err = compared.apart(t, true, operations)
			require.NoError(t, err)
		} else {
			require.Equal(t, refusedAs(refused), refusedAs(err))
			require.Equal(t, fmt.Sprintf("/operations/%d", len(one)), apperr.From(err).Fields[0].Pointer)
			require.Equal(t, "is refused: "+apperr.From(err).Code, apperr.From(err).Fields[0].Message)
		}
		requireAlike(t, batch, compared)
		live(t, batch, compared)
		requireAlike(t, batch, compared)
	})
}

func TestLaw_ExpiryOnTouchIsTheSweep(t *testing.T) {
	t.Parallel()
	requireLawOn(t, setup(t), setup(t), func(t *rapid.T, _ *world) (left, right func(*world)) {
		ms, again := rapid.IntRange(0, 6).Draw(t, "ms"), rapid.IntRange(0, 6).Draw(t, "ms until swept again")
		return func(w *world) {
				w.pass(ms)
				before := w.look(t)
				require.NoError(t, w.ledger.ExpireDue(t.Context()))
				require.Equal(t, before, w.look(t), "nobody sees a sweep but in the history")
				w.pass(again)
				require.NoError(t, w.ledger.ExpireDue(t.Context()))
				require.NoError(t, w.ledger.ExpireDue(t.Context()))
			}, func(w *world) {
				w.pass(ms + again)
			}
	})
}

func TestLaw_OtherAccountsDoNotMatter(t *testing.T) {
	t.Parallel()
	requireLaw(t, func(t *rapid.T, _ *world) (left, right func(*world)) {
		var acts [2][]act
		for on := range acts {
			for range rapid.IntRange(1, 4).Draw(t, "acts") {
				acts[on] = append(acts[on], drawActOn(t, on))
			}
		}
		atTheSameTime := rapid.Bool().Draw(t, "at the same time")
		var told [2][]string
		do := func(w *world, on int) {
			told[on] = nil
			for _, a := range acts[on] {
				told[on] = append(told[on], a(t, w))
			}
		}
		return func(w *world) {
				do(w, 0)
				do(w, 1)
			}, func(w *world) {
				before := told
				if atTheSameTime {
					atOnce(2, func(on int) { do(w, on) })
				} else {
					do(w, 1)
					do(w, 0)
				}
				require.Equal(t, before, told)
			}
	})
}

// Whatever was asked is answered again, later, on another replica, in another
// order, and nothing moves.
func TestLaw_ReplayIsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, b)
		rnd := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "seed")))
		p := &player{accounts: []uuid.UUID{w.accounts[0].userID, w.accounts[1].userID}, now: w.clock.Now}
		type sent struct {
			ask    asked
			answer answer
		}
		all := make([]sent, rapid.IntRange(1, 12).Draw(t, "requests"))
		for i := range all {
			ask := p.draw(rnd, w.request())
			all[i] = sent{ask, ask(t, w.ledger)}
			p.learn(all[i].answer)
			w.pass(rapid.IntRange(0, 20).Draw(t, "ms"))
		}
		w.pass(1000)
		before, histories := w.look(t), w.histories(t)
		replicas := []*creditledger.Ledger{w.ledger, creditledger.New(b.db.Pool, creditledger.Options{Now: w.clock.Now})}
		rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, s := range all {
			if s.answer.isKept() {
				requireReplayOf(t, s.answer, s.ask(t, replicas[rnd.IntN(2)]))
			}
		}
		require.Equal(t, before, w.look(t))
		requireSame(t, histories, w.histories(t))
	})
}

func (w *world) histories(t T) (all [2][]creditledger.Transaction) {
	t.Helper()
	for i, a := range w.accounts {
		page, _, err := w.ledger.Transactions(t.Context(), a.userID, creditledger.TransactionFilter{Limit: 10_000})
		require.NoError(t, err)
		all[i] = page
	}
	return all
}
