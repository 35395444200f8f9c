package creditledger

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/pgdb"
)

// account is one account while a posting holds its lock. Its methods decide and
// record what is to be written; they touch no database but to read on where
// there is more than was read, so that the rules of the ledger can be read as
// plain Go.
type account struct {
	userID     uuid.UUID
	balance    int64
	held       int64
	sequence   int64
	holdEvents int64
	head       [32]byte
	updated    time.Time // of the newest record
	// now is when the posting takes place, which is the time of its next record.
	// Whether something is over is decided by it and nothing else, so that no
	// transaction spends what had expired by its own time.
	now time.Time

	shelf
	holds map[uuid.UUID]*hold
	// watched are the lots that may have to be closed: those that expire until
	// dueRead, and those that something was given back to.
	watched []*lot
	// dueRead is until when lots and holds that end by themselves were read.
	dueRead time.Time
	source  source

	posted []*Transaction // to be inserted, in this order
	events []*HoldEvent   // the same
}

// source reads more of an account under its lock.
type source interface {
	// readOn puts the next lots in burning order on the shelf.
	readOn(a *account) error
	// readDue puts what ends by itself until a moment on the shelf and beside it.
	readDue(a *account, until time.Time) error
}

// available is what can be spent.
func (a *account) available() int64 { return a.balance - a.held }

// changed says whether there is something to write.
func (a *account) changed() bool { return len(a.posted)+len(a.events) > 0 }

// clone is a copy to go back to.
func (a *account) clone() *account {
	c := *a
	c.shelf = a.shelf.clone()
	c.holds = make(map[uuid.UUID]*hold, len(a.holds))
	for id, h := range a.holds {
		copied := *h
		copied.pinned = slices.Clone(h.pinned)
		c.holds[id] = &copied
	}
	c.watched = make([]*lot, len(a.watched))
	for i, l := range a.watched {
		c.watched[i] = c.byID[l.id]
	}
	c.posted, c.events = slices.Clip(a.posted), slices.Clip(a.events)
	return &c
}

// touch begins an operation: it sets the time, and closes what is over by then,
// before anything is decided. Expired credits are never spent, whether or not
// a periodic job has been there.
func (a *account) touch(clock time.Time) error {
	a.advance(clock)
	return a.settle()
}

// advance sets the time, which goes on strictly from record to record even when
// the clocks of replicas disagree or go back.
func (a *account) advance(clock time.Time) {
	if a.now = clock; !clock.After(a.updated) {
		a.now = a.updated.Add(time.Microsecond)
	}
}

// settle closes what is over: holds first, because they let go of credits, then
// lots. Each closing takes time, by which more may be over.
func (a *account) settle() error {
	for {
		if a.now.After(a.dueRead) {
			if err := a.source.readDue(a, a.now.Add(dueMargin)); err != nil {
				return err
			}
		}
		if h := a.firstDueHold(); h != nil {
			a.release(h, EventExpired, HoldExpired, system, nil)
		} else if l := a.firstClosedLot(a.now); l != nil {
			a.close(l)
		} else {
			return nil
		}
	}
}

// finish ends an operation: what it gave back to lots that are over is over too.
func (a *account) finish() {
	for l := a.firstClosedLot(a.updated); l != nil; l = a.firstClosedLot(a.updated) {
		a.close(l)
	}
}

func (a *account) firstDueHold() (first *hold) {
	for _, h := range a.holds {
		if h.due(a.now) && (first == nil || holdOrder(h, first) < 0) {
			first = h
		}
	}
	return first
}

func holdOrder(a, b *hold) int {
	if c := a.ExpiresAt.Compare(b.ExpiresAt); c != 0 {
		return c
	}
	return slices.Compare(a.ID[:], b.ID[:])
}

func (a *account) firstClosedLot(at time.Time) (first *lot) {
	for _, l := range a.watched {
		if l.free() > 0 && l.closed(at) && (first == nil || closingOrder(l, first) < 0) {
			first = l
		}
	}
	return first
}

// watch makes settle and finish look at a lot.
func (a *account) watch(l *lot) {
	if !slices.Contains(a.watched, l) {
		a.watched = append(a.watched, l)
	}
}

// close takes out what no hold pins of a lot that is over.
func (a *account) close(l *lot) {
	amount := l.free()
	l.remaining -= amount
	l.changed = true
	t := &Transaction{Type: TypeRevocation, Amount: -amount, GrantID: &l.id, Burned: []Burn{{l.id, amount}}, Actor: system}
	if l.revokedAt == nil {
		t.Type = TypeExpiry
		l.expired += amount
	}
	a.append(t)
}

// add puts a new lot on the shelf, made by a transaction that is yet to be appended.
func (a *account) add(t *Transaction, l *lot) {
	l.remaining, l.sequence, l.createdAt, l.isNew, l.changed = l.amount, a.sequence+1, a.now, true, true
	t.made = append(t.made, l)
	a.put(l)
	if l.expiresAt != nil && !l.expiresAt.After(a.dueRead) {
		a.watch(l)
	}
}

// room says whether the account can take amount more.
func (a *account) room(amount int64) error {
	if amount > MaxBalance-a.balance {
		return ErrBalanceLimitExceeded
	}
	return nil
}

// affordable decides what may be taken of what is asked for: all of it, with
// partial what there is but at least 1, or nothing.
func (a *account) affordable(amount int64, partial bool) (int64, error) {
	available := a.available()
	switch {
	case amount <= available:
		return amount, nil
	case partial && available > 0:
		return available, nil
	}
	return 0, shortOf(amount, available)
}

func shortOf(required, available int64) error {
	refusal := *ErrInsufficientCredits
	refusal.Shortfall = &apperr.Shortfall{Required: required, Available: available}
	return &refusal
}

// share is a part of what was asked for, and the lot that it comes from.
type share struct {
	*lot
	amount int64
}

// choose finds amount, which is available, in the order in which lots burn.
func (a *account) choose(amount int64) (shares []share, err error) {
	for i := 0; amount > 0; {
		if !a.reaches(i) {
			if a.all {
				return nil, fmt.Errorf("credit account %s: its grants hold %d less than its balance says", a.userID, amount)
			}
			if err := a.source.readOn(a); err != nil {
				return nil, err
			}
			continue
		}
		if l := a.lots[i]; l.free() > 0 {
			take := min(amount, l.free())
			shares = append(shares, share{l, take})
			amount -= take
		}
		i++
	}
	return shares, nil
}

// spend takes amount from lots in burning order by a transaction of the type.
func (a *account) spend(t *Transaction, amount int64) error {
	shares, err := a.choose(amount)
	if err != nil {
		return err
	}
	for _, s := range shares {
		s.remaining -= s.amount
		s.changed = true
		t.Burned = append(t.Burned, Burn{s.id, s.amount})
	}
	t.Amount = -amount
	a.append(t)
	return nil
}

// newID is an id that tells the time of the operation: ids sort as times do.
func (a *account) newID() uuid.UUID { return pgdb.IDAt(a.now, uuid.New()) }

// append gives t its place in the account: number, balance, time and hash.
func (a *account) append(t *Transaction) {
	t.UserID = a.userID
	t.ID = a.newID()
	a.sequence++
	t.Sequence = a.sequence
	a.balance += t.Amount
	t.BalanceAfter = a.balance
	t.CreatedAt, a.updated = a.now, a.now
	a.advance(a.now)
	t.noteSalt, t.noteDigest = t.Note.seal()
	t.Hash = transactionHash(a.head, t)
	a.head = t.Hash
	a.posted = append(a.posted, t)
}

// record gives e its place in the account. The event of a capture takes place
// with its transaction, any other at a time of its own.
func (a *account) record(e *HoldEvent, h *hold) {
	h.changed = true
	if e.Type != EventCaptured {
		a.updated = a.now
		a.advance(a.now)
	}
	h.UpdatedAt = a.updated
	e.UserID, e.Hold, e.HeldAfter = a.userID, h.Hold, a.held
	a.holdEvents++
	e.Number = a.holdEvents
	e.Hash = holdEventHash(a.head, e)
	a.head = e.Hash
	a.events = append(a.events, e)
}
