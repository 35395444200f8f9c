package creditledger_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

// player draws requests of all kinds on its accounts, and learns from the
// answers what there is to draw on. Several clients may share it.
type player struct {
	accounts []uuid.UUID
	now      func() time.Time

	mu                  sync.Mutex
	holds, grants, made []uuid.UUID
}

// asked is a request, which may be sent to any replica any number of times.
type asked func(t T, l *creditledger.Ledger) answer

// answer is what became of a request.
type answer struct {
	made     []creditledger.Transaction
	hold     *creditledger.Hold
	bulk     []creditledger.BulkResult
	replayed bool
	err      error
}

// isKept says whether the answer must be given again to the same request.
func (a answer) isKept() bool {
	var refused *creditledger.Refused
	return a.err == nil || errors.As(a.err, &refused)
}

// isReplay says whether it was given before.
func (a answer) isReplay() bool {
	var refused *creditledger.Refused
	if errors.As(a.err, &refused) {
		return refused.Replayed
	}
	return a.replayed
}

// requireSameAnswer requires that two answers to one request say the same.
func requireSameAnswer(t T, one, other answer) {
	t.Helper()
	requireSame(t, one.made, other.made)
	requireSame(t, one.hold, other.hold)
	requireSame(t, one.bulk, other.bulk)
	var refused, again *creditledger.Refused
	require.Equal(t, errors.As(one.err, &refused), errors.As(other.err, &again))
	if refused != nil {
		require.Equal(t, refused.Status, again.Status)
		require.Equal(t, string(refused.Body), string(again.Body))
	}
}

// requireReplayOf requires that again is the answer first, given again.
func requireReplayOf(t T, first, again answer) {
	t.Helper()
	require.True(t, again.isReplay())
	requireSameAnswer(t, first, again)
}

// isExpected says whether err is an answer that a client of the ledger may get
// to a sensible request, however busy it is.
func isExpected(err error) bool {
	var refused *creditledger.Refused
	return err == nil || errors.As(err, &refused) || errors.Is(err, creditledger.ErrExpiryInThePast)
}

func (p *player) learn(a answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.hold != nil {
		p.holds = append(p.holds, a.hold.ID)
	}
	for _, x := range a.made {
		switch x.Type {
		case creditledger.TypeGrant:
			p.grants = append(p.grants, *x.GrantID)
			p.made = append(p.made, x.ID)
		case creditledger.TypeTransferIn:
			for _, share := range x.Burned {
				p.grants = append(p.grants, share.GrantID)
			}
		default:
			p.made = append(p.made, x.ID)
		}
	}
}

// recent draws one of the newest ids, of something that there is not now and then.
func (p *player) recent(rnd *rand.Rand, ids *[]uuid.UUID) uuid.UUID {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(*ids)
	if n == 0 || rnd.IntN(50) == 0 {
		return uuid.New()
	}
	return (*ids)[n-1-rnd.IntN(min(n, 12))]
}

func (p *player) account(rnd *rand.Rand) uuid.UUID { return p.accounts[rnd.IntN(len(p.accounts))] }

// draw draws a request.
func (p *player) draw(rnd *rand.Rand, r creditledger.Request) asked {
	switch n := rnd.IntN(21); {
	case n < 9:
		return alone(r, p.operation(rnd))
	case n < 11:
		h := creditledger.HoldParams{
			UserID: p.account(rnd), Amount: 1 + rnd.Int64N(30), ExpiresIn: time.Duration(1+rnd.IntN(200)) * time.Millisecond,
			Reference: reference(rnd), Note: note(rnd),
		}
		return holding(func(t T, l *creditledger.Ledger) (creditledger.HoldReceipt, error) { return l.Hold(t.Context(), r, h) })
	case n < 16:
		return p.aboutHold(rnd, r)
	case n < 18:
		id := p.recent(rnd, &p.grants)
		return receiving(func(t T, l *creditledger.Ledger) (creditledger.Receipt, error) {
			return l.RevokeGrant(t.Context(), r, id)
		})
	case n < 20:
		id, v := p.recent(rnd, &p.made), creditledger.ReversalParams{Description: note(rnd).Description}
		if rnd.IntN(2) == 0 {
			v.Amount = ptr(1 + rnd.Int64N(20))
		}
		return receiving(func(t T, l *creditledger.Ledger) (creditledger.Receipt, error) {
			return l.Reverse(t.Context(), r, id, v)
		})
	default:
		operations, atomic := make([]creditledger.BulkOperation, 1+rnd.IntN(6)), rnd.IntN(2) == 0
		for i := range operations {
			operations[i] = p.operation(rnd)
		}
		return func(t T, l *creditledger.Ledger) (a answer) {
			var b creditledger.BulkReceipt
			b, a.err = l.Bulk(t.Context(), r, atomic, operations)
			a.bulk, a.replayed = b.Results, b.Replayed
			for _, result := range b.Results {
				a.made = append(a.made, result.Transactions...)
			}
			return a
		}
	}
}

// operation draws what may stand in a batch as well.
func (p *player) operation(rnd *rand.Rand) creditledger.BulkOperation {
	on := p.account(rnd)
	switch n := rnd.IntN(9); {
	case n < 4:
		g := creditledger.GrantParams{UserID: on, Amount: 1 + rnd.Int64N(90), Priority: int16(rnd.IntN(3)), Reference: reference(rnd), Note: note(rnd)}
		if rnd.IntN(3) > 0 {
			g.ExpiresAt = ptr(p.now().Add(time.Duration(1+rnd.IntN(300_000)) * time.Microsecond))
		}
		return g
	case n < 7 || len(p.accounts) == 1:
		return creditledger.DebitParams{UserID: on, Amount: 1 + rnd.Int64N(40), AllowPartial: rnd.IntN(2) == 0, Reference: reference(rnd), Note: note(rnd)}
	default:
		to := p.account(rnd)
		for to == on {
			to = p.account(rnd)
		}
		return creditledger.TransferParams{FromUserID: on, ToUserID: to, Amount: 1 + rnd.Int64N(30), Reference: reference(rnd), Note: note(rnd)}
	}
}

func (p *player) aboutHold(rnd *rand.Rand, r creditledger.Request) asked {
	id := p.recent(rnd, &p.holds)
	switch rnd.IntN(4) {
	case 0, 1:
		c := creditledger.CaptureParams{Final: rnd.IntN(2) == 0}
		if rnd.IntN(2) == 0 {
			c.Amount = ptr(1 + rnd.Int64N(20))
		}
		return holding(func(t T, l *creditledger.Ledger) (creditledger.HoldReceipt, error) {
			return l.CaptureHold(t.Context(), r, id, c)
		})
	case 2:
		amount := 1 + rnd.Int64N(20)
		return holding(func(t T, l *creditledger.Ledger) (creditledger.HoldReceipt, error) {
			return l.IncrementHold(t.Context(), r, id, amount)
		})
	default:
		return holding(func(t T, l *creditledger.Ledger) (creditledger.HoldReceipt, error) {
			return l.VoidHold(t.Context(), r, id)
		})
	}
}

// alone asks for what may stand in a batch by itself.
func alone(r creditledger.Request, o creditledger.BulkOperation) asked {
	switch o := o.(type) {
	case creditledger.GrantParams:
		return receiving(func(t T, l *creditledger.Ledger) (creditledger.Receipt, error) { return l.Grant(t.Context(), r, o) })
	case creditledger.DebitParams:
		return receiving(func(t T, l *creditledger.Ledger) (creditledger.Receipt, error) { return l.Debit(t.Context(), r, o) })
	default:
		return func(t T, l *creditledger.Ledger) (a answer) {
			var x creditledger.TransferReceipt
			if x, a.err = l.Transfer(t.Context(), r, o.(creditledger.TransferParams)); a.err == nil {
				a.made, a.replayed = []creditledger.Transaction{x.Debit, x.Credit}, x.Replayed
			}
			return a
		}
	}
}

func receiving(ask func(T, *creditledger.Ledger) (creditledger.Receipt, error)) asked {
	return func(t T, l *creditledger.Ledger) (a answer) {
		var r creditledger.Receipt
		if r, a.err = ask(t, l); a.err == nil {
			a.made, a.replayed = []creditledger.Transaction{r.Transaction}, r.Replayed
		}
		return a
	}
}

func holding(ask func(T, *creditledger.Ledger) (creditledger.HoldReceipt, error)) asked {
	return func(t T, l *creditledger.Ledger) (a answer) {
		var r creditledger.HoldReceipt
		if r, a.err = ask(t, l); a.err == nil {
			a.hold, a.replayed = &r.Hold, r.Replayed
		}
		return a
	}
}

func reference(rnd *rand.Rand) *string {
	if rnd.IntN(2) == 0 {
		return nil
	}
	return ptr(fmt.Sprint("order-", rnd.IntN(9)))
}

func note(rnd *rand.Rand) (n creditledger.Note) {
	if rnd.IntN(2) == 0 {
		n.Description = ptr(fmt.Sprint("text ", rnd.Uint32()))
	}
	if rnd.IntN(2) == 0 {
		n.Metadata = fmt.Appendf(nil, `{"n": %d}`, rnd.Uint32())
	}
	return n
}

// codeOf is the code of a problem, "" of none.
func codeOf(problem []byte) string {
	var p struct{ Code string }
	_ = json.Unmarshal(problem, &p)
	return p.Code
}
