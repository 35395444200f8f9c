package creditledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

// Whatever a few clients of two replicas see at once, they would also see if
// their requests were done one after another, as the model does them, each
// somewhere between the moment when it was sent and the moment when it was
// answered.
func TestLedger_IsLinearizable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const windows, clients, requests = 6, 8, 8
	for n := range windows {
		w := newWindow(t, b)
		atOnce(clients, func(client int) {
			rnd := rand.New(rand.NewPCG(uint64(n), uint64(client)))
			for range requests {
				w.request(t.Context(), rnd, client)
			}
		})
		require.NoError(t, errors.Join(w.unexpected...))
		// It takes milliseconds; where it takes a minute, nothing is known.
		result, info := porcupine.CheckOperationsVerbose(sequentially(), w.seen, time.Minute)
		require.Equal(t, porcupine.Ok, result, "%v", lazily(func() string { return w.toldUntil(info) }))
	}
}

// toldUntil tells what was seen, in the longest order that may have been, and
// what is left, with what should have been seen then.
func (w *window) toldUntil(info porcupine.LinearizationInfo) string {
	longest := slices.MaxFunc(info.PartialLinearizations()[0], func(a, b []int) int { return len(a) - len(b) })
	state, told := sequentially().Init().(sequential), ""
	for _, i := range longest {
		state.do(w.seen[i].Input.(input), w.seen[i].Output.(output))
		told += toldSeen(w.seen[i])
	}
	for i, seen := range w.seen {
		if !slices.Contains(longest, i) {
			after := state
			told += toldSeen(seen) + fmt.Sprintf("\n    instead of %+v", after.do(seen.Input.(input), seen.Output.(output)))
		}
	}
	return told
}

func toldSeen(o porcupine.Operation) string {
	in := o.Input.(input)
	return fmt.Sprintf("\n%d…%d, key %.4s: %s on %d, amount %d, flag %v, lasts %v, of %s: %+v",
		o.Call, o.Return, in.request.Key, in.what, in.on, in.amount, in.flag, in.lasts, in.id, o.Output)
}

// lazily makes a text when it is needed.
type lazily func() string

func (f lazily) String() string { return f() }

// window is two accounts, and what a few clients do and see in a moment.
type window struct {
	*bundle
	replicas [2]*creditledger.Ledger
	accounts [2]uuid.UUID

	mu         sync.Mutex
	seen       []porcupine.Operation
	sent       []input // that may be sent again
	unexpected []error
	// What may be spoken of.
	grants, holds, made []uuid.UUID
}

// input is a request.
type input struct {
	what    string
	on      int // which account
	amount  int64
	flag    bool
	lasts   time.Duration // of grants that expire, and of holds
	id      uuid.UUID     // of the grant, the hold or the transaction that it speaks of
	request creditledger.Request
}

// output is the answer.
type output struct {
	told     string // what became of it; of a refusal, at the first time only
	refusal  string // its body; no two are the same
	replayed bool
	id       uuid.UUID // of the transaction or the hold that it made
	lots     string    // ids of the grants that it made, one after another
}

func newWindow(t *testing.T, b *bundle) *window {
	t.Helper()
	w := &window{bundle: b.fork(t)}
	w.clock.Set(epoch.Add(-time.Hour))
	w.accounts = [2]uuid.UUID{w.userID, w.openAccount(t, uuid.New())}
	for i := range w.replicas {
		w.replicas[i] = creditledger.New(b.db.Pool, creditledger.Options{Now: func() time.Time { return epoch }})
	}
	return w
}

// request sends a request, often one that was sent before, perhaps just now and
// to the other replica.
func (w *window) request(ctx context.Context, rnd *rand.Rand, client int) {
	in := w.draw(rnd)
	call := ticks.Add(1)
	out, err := kinds[in.what].ask(ctx, w, w.replicas[rnd.IntN(2)], in)
	end := ticks.Add(1)

	w.mu.Lock()
	defer w.mu.Unlock()
	var refused *creditledger.Refused
	switch {
	case errors.As(err, &refused):
		out = output{refusal: string(refused.Body), replayed: refused.Replayed}
		if !refused.Replayed {
			out.told = refusedAs(refused)
		}
	case errors.Is(err, creditledger.ErrExpiryInThePast):
		out = output{told: refusedAs(err)}
	case err != nil:
		w.unexpected = append(w.unexpected, err)
	}
	w.seen = append(w.seen, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: end})
}

// frequent is the kinds of requests, as often as they are made.
var frequent = []string{
	"grant", "grant", "grant", "debit", "debit", "hold", "hold", "capture", "capture", "increment", "void", "reverse", "reverse", "revoke", "transfer", "balance",
}

func (w *window) draw(rnd *rand.Rand) (in input) {
	w.mu.Lock()
	defer w.mu.Unlock()
	recent := func(n int) int { return n - 1 - rnd.IntN(min(n, 4)) }
	if n := len(w.sent); n > 0 && rnd.IntN(4) == 0 {
		return w.sent[recent(n)]
	}
	in = input{
		what: frequent[rnd.IntN(len(frequent))], on: rnd.IntN(2), amount: 1 + rnd.Int64N(20), flag: rnd.IntN(2) == 0,
		lasts: time.Duration(1+rnd.IntN(60)) * time.Microsecond, request: w.bundle.request(),
	}
	of := map[string][]uuid.UUID{"capture": w.holds, "increment": w.holds, "void": w.holds, "reverse": w.made, "revoke": w.grants}[in.what]
	if n := len(of); n > 0 {
		in.id = of[recent(n)]
	}
	w.sent = append(w.sent, in)
	return in
}

// some is the amount, or nil for all.
func (in input) some() *int64 {
	if in.flag {
		return nil
	}
	return &in.amount
}

func (in input) priority() int16 { return int16(in.amount % 3) }

// A kind of requests: how it is sent, and what the model does.
type kind struct {
	ask    func(ctx context.Context, w *window, l *creditledger.Ledger, in input) (output, error)
	expect func(s *sequential, in input, out output) (told string, err error)
}

var kinds = map[string]kind{
	"grant": {
		func(ctx context.Context, w *window, l *creditledger.Ledger, in input) (output, error) {
			g := creditledger.GrantParams{UserID: w.accounts[in.on], Amount: in.amount, Priority: in.priority()}
			if in.flag {
				g.ExpiresAt = ptr(epoch.Add(in.lasts))
			}
			r, err := l.Grant(ctx, in.request, g)
			if err != nil {
				return output{}, err
			}
			w.know(&w.grants, *r.Transaction.GrantID)
			out := w.moved(r)
			out.lots = r.Transaction.GrantID.String()
			return out, nil
		},
		func(s *sequential, in input, out output) (string, error) {
			m, l := s.begin(in.on), &modelLot{amount: in.amount, priority: in.priority(), expires: never}
			if in.flag {
				l.expires = in.lasts
			}
			if err := m.grant(l); err != nil {
				return "", err
			}
			s.call(out.id, in.on, len(m.made)-1)
			s.callLots(out.lots, in.on)
			return m.toldLast(), nil
		},
	},
	"debit": {
		func(ctx context.Context, w *window, l *creditledger.Ledger, in input) (output, error) {
			r, err := l.Debit(ctx, in.request, creditledger.DebitParams{UserID: w.accounts[in.on], Amount: in.amount, AllowPartial: in.flag})
			if err != nil {
				return output{}, err
			}
			out := w.moved(r)
			out.told += toldBurned(r.Transaction.Burned)
			return out, nil
		},
		func(s *sequential, in input, out output) (string, error) {
			m := s.begin(in.on)
			burned, err := m.debit(in.amount, in.flag)
			if err != nil {
				return "", m.short(err, in.amount)
			}
			s.call(out.id, in.on, len(m.made)-1)
			return m.toldLast() + s.toldBurned(in.on, burned), nil
		},
	},
	"transfer": {
		func(ctx context.Context, w *window, l *creditledger.Ledger, in input) (output, error) {
			r, err := l.Transfer(ctx, in.request, creditledger.TransferParams{
				FromUserID: w.accounts[in.on], ToUserID: w.accounts[1-in.on], Amount: in.amount,
			})
			if err != nil {
				return output{}, err
			}
			out := output{told: toldOf(r.Debit) + toldOf(r.Credit) + toldBurned(r.Debit.Burned), replayed: r.Replayed}
			for _, share := range r.Credit.Burned {
				w.know(&w.grants, share.GrantID)
				out.lots += share.GrantID.String()
			}
			return out, nil
		},
		func(s *sequential, in input, out output) (string, error) {
			from, to := s.begin(in.on), s.begin(1-in.on)
			burned, _ := from.choose(in.amount)
			if err := from.transfer(to, in.amount); err != nil {
				return "", from.short(err, in.amount)
			}
			s.callLots(out.lots, 1-in.on)
			return from.toldLast() + to.toldLast() + s.toldBurned(in.on, burned), nil
		},
	},
	"hold": {
		func(ctx context.Context, w *window, l *creditledger.Ledger, in input) (output, error) {
			r, err := l.Hold(ctx, in.request, creditledger.HoldParams{UserID: w.accounts[in.on], Amount: in.amount, ExpiresIn: in.lasts})
			return w.held(r, err)
		},
		func(s *sequential, in input, out output) (string, error) {
			m := s.begin(in.on)
			if err := m.place(in.amount, m.at+in.lasts); err != nil {
				return "", m.short(err, in.amount)
			}
			s.call(out.id, in.on, len(m.holds)-1)
			return toldHold(in.amount, 0, creditledger.HoldActive), nil
		},
	},
	"capture": {
		func(ctx context.Context, w *window, l *creditledger.Ledger, in input) (output, error) {
			r, err := l.CaptureHold(ctx, in.request, in.id, creditledger.CaptureParams{Amount: in.some(), Final: in.amount%2 == 0})
			out, err := w.held(r, err)
			if err == nil {
				w.know(&w.made, *r.Hold.TransactionID)
				out.id = *r.Hold.TransactionID
			}
			return out, err
		},
		func(s *sequential, in input, out output) (string, error) {
			return s.withHold(in, func(m *model, h *modelHold, on int) error {
				_, err := m.capture(h, in.some(), in.amount%2 == 0)
				if err == nil {
					s.call(out.id, on, len(m.made)-1)
				}
				return err
			})
		},
	},
	"increment": {
		func(ctx context.Context, w *window, l *creditledger.Ledger, in input) (output, error) {
			return w.held(l.IncrementHold(ctx, in.request, in.id, in.amount))
		},
		func(s *sequential, in input, _ output) (string, error) {
			return s.withHold(in, func(m *model, h *modelHold, _ int) error { return m.short(m.pin(h, in.amount), in.amount) })
		},
	},
	"void": {
		func(ctx context.Context, w *window, l *creditledger.Ledger, in input) (output, error) {
			return w.held(l.VoidHold(ctx, in.request, in.id))
		},
		func(s *sequential, in input, _ output) (string, error) {
			return s.withHold(in, func(m *model, h *modelHold, _ int) error { return m.void(h) })
		},
	},
	"reverse": {
		func(ctx context.Context, w *window, l *creditledger.Ledger, in input) (output, error) {
			r, err := l.Reverse(ctx, in.request, in.id, creditledger.ReversalParams{Amount: in.some()})
			if err != nil {
				return output{}, err
			}
			return w.moved(r), nil
		},
		func(s *sequential, in input, out output) (string, error) {
			at, known := s.called[in.id]
			if !known {
				return "", creditledger.ErrTransactionNotFound
			}
			m := s.begin(at.on)
			x := m.made[at.index]
			undo, available := x.leftToUndo(), int64(0)
			if !in.flag {
				undo = in.amount
			}
			if x.typ == creditledger.TypeGrant {
				available = x.left[0].lot.left - x.left[0].lot.held
			}
			if err := m.reverse(x, in.some()); err != nil {
				return "", shortOf(err, undo, available)
			}
			s.call(out.id, at.on, len(m.made)-1)
			return m.toldLast(), nil
		},
	},
	"revoke": {
		func(ctx context.Context, w *window, l *creditledger.Ledger, in input) (output, error) {
			r, err := l.RevokeGrant(ctx, in.request, in.id)
			if err != nil {
				return output{}, err
			}
			return w.moved(r), nil
		},
		func(s *sequential, in input, out output) (string, error) {
			on := 0
			if !slices.Contains(s.lots[on], in.id) {
				on = 1
			}
			index := slices.Index(s.lots[on], in.id)
			if index < 0 {
				return "", creditledger.ErrGrantNotFound
			}
			m := s.begin(on)
			if err := m.revoke(m.lots[index]); err != nil {
				return "", err
			}
			s.call(out.id, on, len(m.made)-1)
			return m.toldLast(), nil
		},
	},
	"balance": {
		func(ctx context.Context, w *window, l *creditledger.Ledger, in input) (output, error) {
			b, err := l.Balance(ctx, w.accounts[in.on])
			return output{told: fmt.Sprint(b.Balance, b.Held, b.Sequence, b.NextExpiry)}, err
		},
		func(s *sequential, in input, _ output) (string, error) {
			v := s.accounts[in.on].read(0)
			return fmt.Sprint(v.balance, v.held, v.sequence, v.next), nil
		},
	},
}

// know remembers an id, of which other requests may speak from now on.
func (w *window) know(ids *[]uuid.UUID, id uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(*ids, id) {
		*ids = append(*ids, id)
	}
}

func (w *window) moved(r creditledger.Receipt) output {
	w.know(&w.made, r.Transaction.ID)
	return output{told: toldOf(r.Transaction), id: r.Transaction.ID, replayed: r.Replayed}
}

func (w *window) held(r creditledger.HoldReceipt, err error) (output, error) {
	if err != nil {
		return output{}, err
	}
	w.know(&w.holds, r.Hold.ID)
	return output{told: toldHold(r.Hold.Amount, r.Hold.Captured, r.Hold.Status), id: r.Hold.ID, replayed: r.Replayed}, nil
}

func toldOf(x creditledger.Transaction) string {
	return fmt.Sprintf("%s number %d: %+d, %d after", x.Type, x.Sequence, x.Amount, x.BalanceAfter)
}

func toldBurned(burned []creditledger.Burn) (told string) {
	for _, share := range burned {
		told += fmt.Sprintf(", %d of %s", share.Amount, share.GrantID)
	}
	return told
}

func toldHold(amount, captured int64, status creditledger.HoldStatus) string {
	return fmt.Sprintf("%d of %d captured, %s", captured, amount, status)
}
