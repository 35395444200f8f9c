package creditledger_test

import (
	"cmp"
	"slices"
	"time"

	"github.com/authservice/authservice/internal/creditledger"
)

// model is what an account should do, in as few words as possible. It knows
// neither hashes, nor keys, nor a database. Times are counted from the epoch.
type model struct {
	lots  []*modelLot  // in the order in which they were granted
	holds []*modelHold // in the order in which they were placed
	made  []*modelTransaction
	last  time.Duration // when the account last changed
	at    time.Duration // when the operation under way takes place
	seen  []modelView   // what readers saw at moments that are over
}

type modelLot struct {
	amount, left, held, expired int64
	priority                    int16
	expires                     time.Duration
	revoked                     bool
}

type modelHold struct {
	amount, captured int64
	expires          time.Duration
	status           creditledger.HoldStatus
	pins             []modelShare
}

type modelTransaction struct {
	typ    creditledger.TransactionType
	amount int64
	// left is what can still be undone.
	left []modelShare
}

// modelShare is a part of a lot.
type modelShare struct {
	lot    *modelLot
	amount int64
}

// never is later than any time in these tests.
const never = time.Duration(1<<63 - 1)

func (m *model) balance() (sum int64) {
	for _, l := range m.lots {
		sum += l.left
	}
	return sum
}

func (m *model) held() (sum int64) {
	for _, l := range m.lots {
		sum += l.held
	}
	return sum
}

func (m *model) available() int64 { return m.balance() - m.held() }

// record makes something happen at the time of the operation. Each record is
// later than the one before.
func (m *model) record() {
	m.last = m.at
	m.at += time.Microsecond
	m.seen = slices.DeleteFunc(m.seen, func(v modelView) bool { return v.at >= m.last })
}

func (m *model) transact(typ creditledger.TransactionType, amount int64, left []modelShare) *modelTransaction {
	t := &modelTransaction{typ, amount, slices.Clone(left)}
	m.made = append(m.made, t)
	m.record()
	return t
}

// begin closes what is over: holds, then lots. Each closing takes time, by which
// more may be over.
func (m *model) begin(now time.Duration) {
	m.at = max(now, m.last+time.Microsecond)
	for {
		if h := first(m.holds, func(h *modelHold) time.Duration { return h.expires }, func(h *modelHold) bool {
			return h.status == creditledger.HoldActive && h.expires <= m.at
		}); h != nil {
			m.letGo(h, creditledger.HoldExpired)
		} else if !m.closeOne(m.at) {
			return
		}
	}
}

// end closes what the operation gave back to lots that are over.
func (m *model) end() {
	for m.closeOne(m.last) {
	}
}

func (m *model) closeOne(by time.Duration) bool {
	l := first(m.lots, func(l *modelLot) time.Duration { return l.expires }, func(l *modelLot) bool {
		return l.left > l.held && (l.revoked || l.expires <= by)
	})
	if l == nil {
		return false
	}
	free := l.left - l.held
	l.left -= free
	if l.revoked {
		m.transact(creditledger.TypeRevocation, -free, nil)
	} else {
		l.expired += free
		m.transact(creditledger.TypeExpiry, -free, nil)
	}
	return true
}

// first is the one that expires first of those that count, and of these the oldest.
func first[T any](all []*T, expires func(*T) time.Duration, counts func(*T) bool) (best *T) {
	for _, x := range all {
		if counts(x) && (best == nil || expires(x) < expires(best)) {
			best = x
		}
	}
	return best
}

func (m *model) grant(l *modelLot) error {
	if l.expires <= m.at {
		return creditledger.ErrExpiryInThePast
	}
	if l.amount > creditledger.MaxBalance-m.balance() {
		return creditledger.ErrBalanceLimitExceeded
	}
	l.left = l.amount
	m.lots = append(m.lots, l)
	m.transact(creditledger.TypeGrant, l.amount, []modelShare{{l, l.amount}})
	return nil
}

// choose finds amount in burning order.
func (m *model) choose(amount int64) (shares []modelShare, err error) {
	if amount > m.available() {
		return nil, creditledger.ErrInsufficientCredits
	}
	order := slices.Clone(m.lots)
	slices.SortStableFunc(order, func(a, b *modelLot) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.expires, b.expires))
	})
	for _, l := range order {
		if take := min(amount, l.left-l.held); take > 0 {
			shares = append(shares, modelShare{l, take})
			amount -= take
		}
	}
	return shares, nil
}

func (m *model) spend(typ creditledger.TransactionType, amount int64) ([]modelShare, error) {
	shares, err := m.choose(amount)
	if err != nil {
		return nil, err
	}
	for _, s := range shares {
		s.lot.left -= s.amount
	}
	m.transact(typ, -amount, shares)
	return shares, nil
}

func (m *model) debit(amount int64, partly bool) ([]modelShare, error) {
	if partly && m.available() > 0 {
		amount = min(amount, m.available())
	}
	return m.spend(creditledger.TypeDebit, amount)
}

func (m *model) place(amount int64, expires time.Duration) error {
	h := &modelHold{expires: expires, status: creditledger.HoldActive}
	if err := m.pin(h, amount); err != nil {
		return err
	}
	m.holds = append(m.holds, h)
	return nil
}

func (m *model) pin(h *modelHold, amount int64) error {
	if h.status != creditledger.HoldActive {
		return creditledger.ErrHoldNotActive
	}
	shares, err := m.choose(amount)
	if err != nil {
		return err
	}
	for _, s := range shares {
		s.lot.held += s.amount
	}
	h.amount += amount
	h.pins = append(h.pins, shares...)
	m.record()
	return nil
}

// unpin takes amount from the front of what h pins.
func (m *model) unpin(h *modelHold, amount int64) (shares []modelShare) {
	for amount > 0 {
		take := min(amount, h.pins[0].amount)
		shares = append(shares, modelShare{h.pins[0].lot, take})
		h.pins[0].lot.held -= take
		amount -= take
		if h.pins[0].amount -= take; h.pins[0].amount == 0 {
			h.pins = h.pins[1:]
		}
	}
	return shares
}

func (m *model) capture(h *modelHold, amount *int64, final bool) ([]modelShare, error) {
	if h.status != creditledger.HoldActive {
		return nil, creditledger.ErrHoldNotActive
	}
	take := h.amount - h.captured
	if amount != nil {
		if *amount > take {
			return nil, creditledger.ErrCaptureExceedsHold
		}
		take = *amount
	}
	shares := m.unpin(h, take)
	for _, s := range shares {
		s.lot.left -= s.amount
	}
	h.captured += take
	if final || h.captured == h.amount {
		m.unpin(h, h.amount-h.captured)
		h.status = creditledger.HoldCaptured
	}
	m.transact(creditledger.TypeCapture, -take, shares)
	return shares, nil
}

func (m *model) void(h *modelHold) error {
	if h.status != creditledger.HoldActive {
		return creditledger.ErrHoldNotActive
	}
	m.letGo(h, creditledger.HoldVoided)
	return nil
}

func (m *model) letGo(h *modelHold, status creditledger.HoldStatus) {
	m.unpin(h, h.amount-h.captured)
	h.status = status
	m.record()
}

func (m *model) revoke(l *modelLot) error {
	free := l.left - l.held
	if free == 0 || l.revoked {
		return creditledger.ErrGrantNotActive
	}
	l.revoked = true
	l.left -= free
	m.transact(creditledger.TypeRevocation, -free, nil)
	return nil
}

func (m *model) reverse(t *modelTransaction, amount *int64) error {
	var left int64
	for _, s := range t.left {
		left += s.amount
	}
	switch t.typ {
	case creditledger.TypeDebit, creditledger.TypeCapture, creditledger.TypeGrant:
	default:
		return creditledger.ErrNotReversible
	}
	undo := left
	if amount != nil {
		undo = *amount
	}
	switch {
	case left == 0:
		return creditledger.ErrAlreadyReversed
	case undo > left:
		return creditledger.ErrReversalExceedsOriginal
	case t.typ == creditledger.TypeGrant:
		l := t.left[0].lot
		if undo > l.left-l.held {
			return creditledger.ErrInsufficientCredits
		}
		l.left -= undo
		t.left[0].amount -= undo
		m.transact(creditledger.TypeReversal, -undo, nil)
		return nil
	case undo > creditledger.MaxBalance-m.balance():
		return creditledger.ErrBalanceLimitExceeded
	}
	rest := undo
	for i := len(t.left) - 1; rest > 0; i-- {
		give := min(rest, t.left[i].amount)
		t.left[i].amount -= give
		t.left[i].lot.left += give
		rest -= give
	}
	m.transact(creditledger.TypeReversal, undo, nil)
	return nil
}

// transfer moves amount; what it takes keeps its terms.
func (m *model) transfer(to *model, amount int64) error {
	if amount > m.available() {
		return creditledger.ErrInsufficientCredits
	}
	if amount > creditledger.MaxBalance-to.balance() {
		return creditledger.ErrBalanceLimitExceeded
	}
	shares, _ := m.spend(creditledger.TypeTransferOut, amount)
	var lots []*modelLot
	for _, s := range shares {
		i := slices.IndexFunc(lots, func(l *modelLot) bool { return l.priority == s.lot.priority && l.expires == s.lot.expires })
		if i < 0 {
			i = len(lots)
			lots = append(lots, &modelLot{priority: s.lot.priority, expires: s.lot.expires})
		}
		lots[i].amount += s.amount
		lots[i].left += s.amount
	}
	to.lots = append(to.lots, lots...)
	to.transact(creditledger.TypeTransferIn, amount, nil)
	return nil
}

// modelView is what a reader sees at a moment.
type modelView struct {
	at            time.Duration
	balance, held int64
	sequence      int64
	next          *creditledger.Expiry
	grants        []modelGrant
	holds         []creditledger.HoldStatus
}

type modelGrant struct {
	amount, left, held int64
	status             creditledger.GrantStatus
}

// read is what a reader sees before any posting has closed what is over.
func (m *model) read(now time.Duration) modelView {
	v := modelView{at: now, sequence: int64(len(m.made))}
	released := map[*modelLot]int64{}
	for _, h := range m.holds {
		status := h.status
		if status == creditledger.HoldActive && h.expires <= now {
			status = creditledger.HoldExpired
			for _, p := range h.pins {
				released[p.lot] += p.amount
			}
		}
		v.holds = append(v.holds, status)
	}
	soonest := never
	for _, l := range m.lots {
		g := modelGrant{amount: l.amount, left: l.left, held: l.held - released[l], status: creditledger.GrantActive}
		over := l.revoked || l.expires <= now
		switch {
		case l.revoked:
			g.status = creditledger.GrantRevoked
		case l.expired > 0, over && l.left > 0:
			g.status = creditledger.GrantExpired
		case l.left == 0:
			g.status = creditledger.GrantDepleted
		}
		if over {
			g.left = g.held
		} else if g.left > g.held {
			soonest = min(soonest, l.expires)
		}
		v.balance += g.left
		v.held += g.held
		v.grants = append(v.grants, g)
	}
	if soonest < never {
		v.next = &creditledger.Expiry{At: epoch.Add(soonest)}
		for i, l := range m.lots {
			if l.expires == soonest {
				v.next.Amount += v.grants[i].left - v.grants[i].held
			}
		}
	}
	return v
}
