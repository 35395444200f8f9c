package ordeal

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/api/authclient"
)

// kind is what an operation does.
type kind string

const (
	kindGrant     kind = "grant"
	kindDebit     kind = "debit"
	kindHold      kind = "hold"
	kindCapture   kind = "capture"
	kindIncrement kind = "increment"
	kindVoid      kind = "void"
	kindReversal  kind = "reversal"
	kindTransfer  kind = "transfer"
	kindRead      kind = "read"
)

// operation is one request of a client, with all that is known of it before it
// is sent.
type operation struct {
	kind         kind
	key          string // empty for a read
	method, path string
	body         string
	timeout      time.Duration // when the client stops waiting, and asks again
	once         bool          // sent only once, and never asked after
	want         *expected     // nil where others have a say in it

	user, to uuid.UUID // whose credits it moves
	amount   int64     // by how much, where it is applied
	held     int64     // by how much what is held changes
	hold     uuid.UUID // what it does something to
	// applied tells the model what the answer says of ids; then returns what the
	// client does next about it, nil for nothing.
	applied func(body []byte)
	then    func(body []byte) *operation
}

// moves says whether the operation changes anything.
func (o *operation) moves() bool { return o.kind != kindRead }

// ground is what clients stand on: accounts that all of them use at once, and
// among them such whose credits and holds soon expire.
type ground struct {
	shared, perishable []uuid.UUID
}

// player is a client's side of the game: it decides what to do, from the seed and
// from what it knows, never from how long anything took.
type player struct {
	seed   uint64
	client int
	number int // of the next operation
	own    []*account
	ground
	clock func() time.Time // for expiries only
}

// next draws the next operation.
func (p *player) next() *operation {
	r := rand.New(rand.NewPCG(p.seed, uint64(p.client)<<32|uint64(p.number)))
	d := &draw{Rand: r, player: p, key: fmt.Sprintf("%d-%d-%d", p.seed, p.client, p.number)}
	p.number++
	o := d.operation()
	if o.moves() && o.key == "" {
		o.key = d.key
	}
	o.timeout = 800*time.Millisecond + time.Duration(r.Int64N(int64(5*time.Second)))
	return o
}

// draw is the making of one operation.
type draw struct {
	*rand.Rand
	*player
	key string
}

func (d *draw) operation() *operation {
	a := d.own[d.IntN(len(d.own))]
	switch n := d.IntN(100); {
	case n < 18:
		return d.grant(a)
	case n < 42:
		return d.debit(a)
	case n < 51:
		return d.place(a)
	case n < 58:
		return d.capture(a)
	case n < 60:
		return d.increment(a)
	case n < 63:
		return d.void(a)
	case n < 69:
		return d.reverse(a)
	case n < 74:
		return d.transfer(a)
	case n < 86:
		return d.onShared()
	case n < 90:
		return d.onPerishable()
	default:
		return d.read(a)
	}
}

func (d *draw) post(k kind, path string, body any) *operation {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return &operation{kind: k, method: http.MethodPost, path: path, body: string(text), key: d.key}
}

func credits(user uuid.UUID, what string) string {
	return "/v1/users/" + user.String() + "/credits/" + what
}

func holds(id uuid.UUID, what string) string { return "/v1/credits/holds/" + id.String() + "/" + what }

// sum is an amount of what is there, now and then more.
func (d *draw) sum(there int64) int64 { return 1 + d.Int64N(max(1, there/6+d.Int64N(2)*there/3)) }

func (d *draw) grant(a *account) *operation { return d.granting(a, 1+d.Int64N(1000)) }

func (d *draw) granting(a *account, amount int64) *operation {
	o := d.post(kindGrant, credits(a.id, "grants"), authclient.GrantRequest{Amount: amount, Reference: &d.key})
	o.user, o.amount = a.id, amount
	after := a.post(amount)
	o.want = answering(http.StatusCreated, posting{a.id, authclient.TransactionTypeGrant, amount, after.Balance, after.Sequence}, viewPosting)
	return o
}

func (d *draw) debit(a *account) *operation {
	amount := d.sum(a.available() + 10)
	o := d.post(kindDebit, credits(a.id, "debits"), authclient.DebitRequest{Amount: amount, Reference: &d.key})
	o.user, o.amount = a.id, -amount
	if amount > a.available() {
		o.want = refusal(http.StatusPaymentRequired, "insufficient_credits")
		return o
	}
	after := a.post(-amount)
	s := &spent{left: amount}
	a.debits = remember(a.debits, s)
	o.applied = func(body []byte) { s.id = idOf(body) }
	o.want = answering(http.StatusCreated, posting{a.id, authclient.TransactionTypeDebit, -amount, after.Balance, after.Sequence}, viewPosting)
	return o
}

// longHold is how long holds last that must not expire, in seconds.
const longHold = 3 * 24 * 3600

func (d *draw) place(a *account) *operation {
	if h := a.oldest(); h != nil && len(a.holds) >= most {
		return d.release(a, h) // or in time all would be held
	}
	amount := d.sum(a.available() + 10)
	o := d.post(kindHold, credits(a.id, "holds"), authclient.HoldRequest{Amount: amount, Reference: &d.key, ExpiresIn: new(longHold)})
	o.user, o.held = a.id, amount
	if amount > a.available() {
		o.want = refusal(http.StatusPaymentRequired, "insufficient_credits")
		return o
	}
	h := &hold{account: a.id, amount: amount, status: authclient.HoldStatusActive}
	a.held += amount
	a.holds = remember(a.holds, h)
	o.applied = func(body []byte) { h.id = idOf(body) }
	o.want = answering(http.StatusCreated, holding{a.id, amount, 0, h.status}, viewHold)
	return o
}

// change begins an operation on one of the account's holds, whose id is known by
// now; nil where there is none.
func (d *draw) change(a *account) *hold {
	if len(a.holds) == 0 {
		return nil
	}
	// The newest first: of the others, many are over.
	return a.holds[len(a.holds)-1-d.IntN(min(3, len(a.holds)))]
}

var inactive = refusal(http.StatusConflict, "hold_not_active")

func (d *draw) capture(a *account) *operation {
	h := d.change(a)
	if h == nil {
		return d.place(a)
	}
	amount, final := 1+d.Int64N(h.amount+1), d.IntN(3) > 0
	o := d.post(kindCapture, holds(h.id, "capture"), authclient.CaptureRequest{Amount: &amount, Final: &final})
	o.user, o.hold, o.amount = a.id, h.id, -amount
	switch {
	case h.status != authclient.HoldStatusActive:
		o.want = inactive
		return o
	case amount > h.left():
		o.want = refusal(http.StatusUnprocessableEntity, "capture_exceeds_hold")
		return o
	}
	o.held = -amount
	h.captured += amount
	if final || h.left() == 0 {
		o.held -= h.left()
		h.status = authclient.HoldStatusCaptured
	}
	a.held += o.held
	a.post(-amount)
	o.want = answering(http.StatusOK, holding{a.id, h.amount, h.captured, h.status}, viewHold)
	return o
}

func (d *draw) increment(a *account) *operation {
	h := d.change(a)
	if h == nil {
		return d.place(a)
	}
	amount := d.sum(a.available() + 10)
	o := d.post(kindIncrement, holds(h.id, "increment"), authclient.IncrementRequest{Amount: amount})
	o.user, o.hold, o.held = a.id, h.id, amount
	switch {
	case h.status != authclient.HoldStatusActive:
		o.want = inactive
		return o
	case amount > a.available():
		o.want = refusal(http.StatusPaymentRequired, "insufficient_credits")
		return o
	}
	h.amount += amount
	a.held += amount
	o.want = answering(http.StatusOK, holding{a.id, h.amount, h.captured, h.status}, viewHold)
	return o
}

func (d *draw) void(a *account) *operation {
	h := d.change(a)
	if h == nil {
		return d.place(a)
	}
	return d.release(a, h)
}

func (d *draw) release(a *account, h *hold) *operation {
	o := d.post(kindVoid, holds(h.id, "void"), nil)
	o.body = ""
	o.user, o.hold, o.held = a.id, h.id, -h.left()
	if h.status != authclient.HoldStatusActive {
		o.want = inactive
		return o
	}
	a.held -= h.left()
	h.status = authclient.HoldStatusVoided
	o.want = answering(http.StatusOK, holding{a.id, h.amount, h.captured, h.status}, viewHold)
	return o
}

func (d *draw) reverse(a *account) *operation {
	if len(a.debits) == 0 {
		return d.grant(a)
	}
	s := a.debits[d.IntN(len(a.debits))]
	amount := 1 + d.Int64N(max(1, s.left+s.left/4))
	o := d.post(kindReversal, "/v1/credits/transactions/"+s.id.String()+"/reversals", authclient.ReversalRequest{Amount: &amount})
	o.user, o.amount = a.id, amount
	switch {
	case s.left == 0:
		o.want = refusal(http.StatusConflict, "already_reversed")
		return o
	case amount > s.left:
		o.want = refusal(http.StatusUnprocessableEntity, "reversal_exceeds_original")
		return o
	}
	s.left -= amount
	after := a.post(amount)
	o.want = answering(http.StatusCreated, posting{a.id, authclient.TransactionTypeReversal, amount, after.Balance, after.Sequence}, viewPosting)
	return o
}

func (d *draw) transfer(a *account) *operation {
	b := d.own[d.IntN(len(d.own))]
	amount := d.sum(a.available() + 10)
	o := d.post(kindTransfer, "/v1/credits/transfers", authclient.TransferRequest{FromUserID: a.id, ToUserID: b.id, Amount: amount, Reference: &d.key})
	o.user, o.to, o.amount = a.id, b.id, -amount
	switch {
	case a == b:
		return d.grant(a)
	case amount > a.available():
		o.want = refusal(http.StatusPaymentRequired, "insufficient_credits")
		return o
	}
	out, in := a.post(-amount), b.post(amount)
	o.want = answering(http.StatusCreated, [2]posting{
		{a.id, authclient.TransactionTypeTransferOut, -amount, out.Balance, out.Sequence},
		{b.id, authclient.TransactionTypeTransferIn, amount, in.Balance, in.Sequence},
	}, viewTransfer)
	return o
}

// read asks for what the client knows, which is what it must be told, by
// whichever replica.
func (d *draw) read(a *account) *operation {
	o := &operation{kind: kindRead, method: http.MethodGet, user: a.id}
	switch h := d.change(a); {
	case h != nil && d.IntN(3) == 0:
		o.path = "/v1/credits/holds/" + h.id.String()
		o.want = answering(http.StatusOK, holding{a.id, h.amount, h.captured, h.status}, viewHold)
	case d.IntN(3) == 0:
		o.path = credits(a.id, "transactions?limit=3")
		o.want = answering(http.StatusOK, newest{min(3, int(a.sequence)), a.sequence, a.balance}, viewNewest)
	default:
		o.path = "/v1/users/" + a.id.String() + "/credits"
		o.want = answering(http.StatusOK, a.now(), viewBalance)
	}
	return o
}

// newest is the head of a list of transactions.
type newest struct {
	Items           int
	Sequence, After int64
}

func viewNewest(p authclient.TransactionPage) newest {
	n := newest{Items: len(p.Items)}
	if n.Items > 0 {
		n.Sequence, n.After = p.Items[0].Sequence, p.Items[0].BalanceAfter
	}
	return n
}

// onShared is on an account that everybody uses: what is answered depends on
// who comes first, and must only be true.
func (d *draw) onShared() *operation {
	user := d.shared[d.IntN(len(d.shared))]
	amount := 1 + d.Int64N(200)
	var o *operation
	switch n := d.IntN(10); {
	case n < 3:
		o = d.post(kindGrant, credits(user, "grants"), authclient.GrantRequest{Amount: amount, Reference: &d.key})
		o.user, o.amount = user, amount
	case n < 7:
		o = d.post(kindDebit, credits(user, "debits"), authclient.DebitRequest{Amount: amount, Reference: &d.key})
		o.user, o.amount = user, -amount
	case n < 9:
		to := d.shared[d.IntN(len(d.shared))]
		if to == user {
			return d.holdFor(user, amount, longHold)
		}
		o = d.post(kindTransfer, "/v1/credits/transfers", authclient.TransferRequest{FromUserID: user, ToUserID: to, Amount: amount, Reference: &d.key})
		o.user, o.to, o.amount = user, to, -amount
	default:
		return d.holdFor(user, amount, longHold)
	}
	o.once = d.IntN(4) == 0
	return o
}

// onPerishable is on an account where time takes away what nobody uses.
func (d *draw) onPerishable() *operation {
	user := d.perishable[d.IntN(len(d.perishable))]
	amount := 1 + d.Int64N(200)
	switch d.IntN(3) {
	case 0:
		return d.holdFor(user, amount, 1+d.IntN(5))
	case 1:
		o := d.post(kindDebit, credits(user, "debits"), authclient.DebitRequest{Amount: amount, Reference: &d.key})
		o.user, o.amount = user, -amount
		return o
	default:
		expires := d.clock().Add(5*time.Second + time.Duration(d.Int64N(int64(time.Minute)))).UTC()
		o := d.post(kindGrant, credits(user, "grants"), authclient.GrantRequest{Amount: amount, ExpiresAt: &expires, Reference: &d.key})
		o.user, o.amount = user, amount
		return o
	}
}

// holdFor places a hold and, once it is there, captures some of it or lets it go.
func (d *draw) holdFor(user uuid.UUID, amount int64, seconds int) *operation {
	o := d.post(kindHold, credits(user, "holds"), authclient.HoldRequest{Amount: amount, Reference: &d.key, ExpiresIn: &seconds})
	o.user, o.held = user, amount
	captured, void := 1+d.Int64N(amount), d.IntN(2) == 0
	o.then = func(body []byte) *operation {
		id := idOf(body)
		end := d.post(kindCapture, holds(id, "capture"), authclient.CaptureRequest{Amount: &captured})
		end.amount = -captured
		if void {
			end = d.post(kindVoid, holds(id, "void"), nil)
			end.body = ""
		}
		end.key += "-end"
		end.user, end.hold, end.held, end.timeout = user, id, -amount, o.timeout
		return end
	}
	return o
}

func idOf(body []byte) uuid.UUID {
	var made struct {
		ID uuid.UUID `json:"id"`
	}
	if json.Unmarshal(body, &made) != nil {
		return uuid.Nil
	}
	return made.ID
}
