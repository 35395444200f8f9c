package creditledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/dbgen"
)

// lot is a grant as a posting sees it.
type lot struct {
	id        uuid.UUID
	amount    int64
	remaining int64
	held      int64 // the part of remaining that holds pin
	expired   int64 // what expiry took
	priority  int16
	expiresAt *time.Time // nil for never
	revokedAt *time.Time // nil unless revoked
	sequence  int64      // of the transaction that made it
	part      int16      // counts the lots of that transaction
	createdAt time.Time
	isNew     bool
	changed   bool
}

// free is what can be burned or expire: what no hold pins.
func (l *lot) free() int64 { return l.remaining - l.held }

// closed says whether nothing of it can be spent any more. What holds pin is
// theirs, until they let go of it.
func (l *lot) closed(at time.Time) bool { return l.revokedAt != nil || l.due(at) }

func (l *lot) due(at time.Time) bool { return l.expiresAt != nil && !l.expiresAt.After(at) }

// burnOrder says which lot burns first: the lower priority number, then what
// expires sooner, then the older.
func burnOrder(a, b *lot) int {
	return cmp.Or(
		cmp.Compare(a.priority, b.priority), compareExpiry(a, b),
		cmp.Compare(a.sequence, b.sequence), cmp.Compare(a.part, b.part),
	)
}

// closingOrder says which lot is closed first: what expired first, then the older.
func closingOrder(a, b *lot) int {
	return cmp.Or(compareExpiry(a, b), cmp.Compare(a.sequence, b.sequence), cmp.Compare(a.part, b.part))
}

// compareExpiry puts what never expires last.
func compareExpiry(a, b *lot) int {
	switch {
	case a.expiresAt == nil && b.expiresAt == nil:
		return 0
	case a.expiresAt == nil:
		return 1
	case b.expiresAt == nil:
		return -1
	}
	return a.expiresAt.Compare(*b.expiresAt)
}

func lotFrom(row dbgen.CreditGrant) *lot {
	return &lot{
		id: row.ID, amount: row.Amount, remaining: row.Remaining, held: row.Held, expired: row.Expired,
		priority: row.Priority, expiresAt: row.ExpiresAt, revokedAt: row.RevokedAt,
		sequence: row.Sequence, part: row.Part, createdAt: row.CreatedAt,
	}
}

// shelf is the lots of an account that a posting knows, in burning order. An
// account may have thousands, of which a debit needs one or two, so that they
// are read page by page.
type shelf struct {
	lots []*lot
	byID map[uuid.UUID]*lot
	// read counts the open lots that were read, from the first to burn on; last
	// is the last of them. Lots behind it are known by chance only, unless all
	// were read.
	read int
	last *lot
	all  bool
}

// put adds a lot, unless it is known: then what is known is newer.
func (s *shelf) put(l *lot) *lot {
	if known := s.byID[l.id]; known != nil {
		return known
	}
	at, _ := slices.BinarySearchFunc(s.lots, l, burnOrder)
	s.lots = slices.Insert(s.lots, at, l)
	s.byID[l.id] = l
	return l
}

// page adds the next open lots in burning order, of which size were asked for.
func (s *shelf) page(lots []*lot, size int) {
	for _, l := range lots {
		s.last = s.put(l)
	}
	s.read += len(lots)
	s.all = s.all || len(lots) < size
}

// reaches says whether the i-th lot is known to be the next to burn.
func (s *shelf) reaches(i int) bool {
	return i < len(s.lots) && (s.all || s.last != nil && burnOrder(s.lots[i], s.last) <= 0)
}

func (s *shelf) clone() shelf {
	c := *s
	c.lots = make([]*lot, len(s.lots))
	c.byID = make(map[uuid.UUID]*lot, len(s.lots))
	for i, l := range s.lots {
		copied := *l
		c.lots[i] = &copied
		c.byID[l.id] = &copied
		if l == s.last {
			c.last = &copied
		}
	}
	return c
}
