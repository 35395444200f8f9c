package ledgerproof

import (
	"cmp"
	"container/heap"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/dbgen"
)

// lot is a grant as the records so far have left it.
type lot struct {
	grant     *dbgen.CreditGrant // as it is in the end
	remaining int64
	held      int64 // the part of remaining that holds pin
	expired   int64
	revokedAt *time.Time

	inBurning, inDue place
}

// free is what can be spent, or closed.
func (l *lot) free() int64 { return l.remaining - l.held }

// over says that what is free of it has to be closed.
func (l *lot) over(at time.Time) bool {
	return l.revokedAt != nil || l.grant.ExpiresAt != nil && !l.grant.ExpiresAt.After(at)
}

// final says that it is what it is in the end.
func (l *lot) final() bool {
	g := l.grant
	return l.remaining == g.Remaining && l.held == g.Held && l.expired == g.Expired && sameTime(l.revokedAt, g.RevokedAt)
}

// shelf is the lots of an account: those that have something in them, and those
// that will change again. A lot that is empty and what it is in the end is
// forgotten: whatever names it later finds it as it was, in its row. So an
// account may have had any number of grants.
type shelf struct {
	byID map[uuid.UUID]*lot
	// burning has the lots with something free in the order in which they are
	// spent, due those of them that expire by the time at which they do.
	burning, due queue[lot]
	// freed are revoked lots that something was given back to.
	freed []*lot
}

func newShelf() shelf {
	return shelf{
		byID: map[uuid.UUID]*lot{},
		burning: queue[lot]{
			before: func(a, b *lot) bool { return burningOrder(a.grant, b.grant) < 0 },
			place:  func(l *lot) *place { return &l.inBurning },
		},
		due: queue[lot]{
			before: func(a, b *lot) bool { return closingOrder(a.grant, b.grant) < 0 },
			place:  func(l *lot) *place { return &l.inDue },
		},
	}
}

// burningOrder: the lower priority number first, then what expires sooner, then the older.
func burningOrder(a, b *dbgen.CreditGrant) int {
	return cmp.Or(cmp.Compare(a.Priority, b.Priority), closingOrder(a, b))
}

// closingOrder: what expires sooner first, then the older.
func closingOrder(a, b *dbgen.CreditGrant) int {
	return cmp.Or(compareExpiry(a.ExpiresAt, b.ExpiresAt), cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.Part, b.Part))
}

// compareExpiry puts what never expires last.
func compareExpiry(a, b *time.Time) int {
	switch {
	case a != nil && b != nil:
		return a.Compare(*b)
	case a != nil:
		return -1
	case b != nil:
		return 1
	}
	return 0
}

// changed puts a lot in its places after what is in it has changed.
func (s *shelf) changed(l *lot) {
	if l.free() == 0 {
		s.burning.remove(l)
		s.due.remove(l)
		if l.remaining == 0 && l.final() {
			delete(s.byID, l.grant.ID)
		}
		return
	}
	s.byID[l.grant.ID] = l
	if l.revokedAt != nil {
		s.freed = append(s.freed, l)
		return
	}
	s.burning.add(l)
	if l.grant.ExpiresAt != nil {
		s.due.add(l)
	}
}

// firstOver is the lot that has to be closed before anything else happens at a
// moment, nil for none.
func (s *shelf) firstOver(at time.Time) *lot {
	first := s.due.first()
	if first != nil && !first.over(at) {
		first = nil
	}
	waiting := s.freed[:0]
	for _, l := range s.freed {
		if l.free() == 0 {
			continue
		}
		waiting = append(waiting, l)
		if first == nil || closingOrder(l.grant, first.grant) < 0 {
			first = l
		}
	}
	s.freed = waiting
	return first
}

// take takes amount in burning order: it is spent, or pinned by a hold. It
// returns less if there is less.
func (s *shelf) take(amount int64, pin bool) (taken []creditledger.Burn) {
	for amount > 0 {
		l := s.burning.first()
		if l == nil {
			return taken
		}
		part := min(amount, l.free())
		if pin {
			l.held += part
		} else {
			l.remaining -= part
		}
		s.changed(l)
		taken = append(taken, creditledger.Burn{GrantID: l.grant.ID, Amount: part})
		amount -= part
	}
	return taken
}

// queue is a heap that things can be taken out of wherever they are in it.
type queue[T any] struct {
	items  []*T
	before func(a, b *T) bool
	place  func(*T) *place
}

// place is where in a queue something is, from 1; 0 for nowhere.
type place int

func (q *queue[T]) first() *T {
	if len(q.items) == 0 {
		return nil
	}
	return q.items[0]
}

func (q *queue[T]) add(item *T) {
	if *q.place(item) == 0 {
		heap.Push(q, item)
	}
}

func (q *queue[T]) remove(item *T) {
	if at := *q.place(item); at > 0 {
		heap.Remove(q, int(at)-1)
	}
}

// Len implements heap.Interface, as do the methods below.
func (q *queue[T]) Len() int { return len(q.items) }

// Less implements heap.Interface.
func (q *queue[T]) Less(i, j int) bool { return q.before(q.items[i], q.items[j]) }

// Swap implements heap.Interface.
func (q *queue[T]) Swap(i, j int) {
	q.items[i], q.items[j] = q.items[j], q.items[i]
	*q.place(q.items[i]), *q.place(q.items[j]) = place(i+1), place(j+1)
}

// Push implements heap.Interface.
func (q *queue[T]) Push(item any) {
	added, _ := item.(*T)
	q.items = append(q.items, added)
	*q.place(added) = place(len(q.items))
}

// Pop implements heap.Interface.
func (q *queue[T]) Pop() any {
	last := len(q.items) - 1
	item := q.items[last]
	q.items[last] = nil
	q.items = q.items[:last]
	*q.place(item) = 0
	return item
}
