package creditledger_test

import (
	"time"

	"github.com/authservice/authservice/internal/creditledger"
)

// model is what an account should do, in as few words as possible. It knows
// neither hashes, nor keys, nor a database. Times are counted from the epoch.
type model struct {
	lots     []*modelLot   // in the order in which they were granted
	last     time.Duration // when the account last changed
	sequence int64
}

type modelLot struct {
	amount, left, expired int64
	priority              int16
	expires               time.Duration
}

// never is later than any time in these tests.
const never = time.Duration(1<<63 - 1)

type modelBurn struct {
	lot    int // counted from 0
	amount int64
}

func (m *model) balance() (sum int64) {
	for _, l := range m.lots {
		sum += l.left
	}
	return sum
}

// next is the time of the next transaction. Each is later than the one before.
func (m *model) next(now time.Duration) time.Duration { return max(now, m.last+time.Microsecond) }

func (m *model) commit(now time.Duration) {
	m.last = m.next(now)
	m.sequence++
}

// expire closes what is due. Each closing takes time, by which more may be due.
func (m *model) expire(now time.Duration) {
	for closed := true; closed; {
		closed = false
		for _, l := range m.lots {
			if l.left > 0 && l.expires <= m.next(now) {
				l.expired, l.left = l.left, 0
				m.commit(now)
				closed = true
			}
		}
	}
}

// moment is the time at which a grant or a debit would be made.
func (m model) moment(now time.Duration) time.Duration {
	lots := m.lots
	m.lots = make([]*modelLot, len(lots))
	for i, l := range lots {
		l := *l
		m.lots[i] = &l
	}
	m.expire(now)
	return m.next(now)
}

func (m *model) grant(now time.Duration, l *modelLot) (ok bool) {
	m.expire(now)
	if l.amount > creditledger.MaxBalance-m.balance() {
		return false
	}
	l.left = l.amount
	m.lots = append(m.lots, l)
	m.commit(now)
	return true
}

// debit returns what it burned, nothing if it is refused.
func (m *model) debit(now time.Duration, amount int64, partly bool) (burned []modelBurn) {
	m.expire(now)
	if partly {
		amount = min(amount, m.balance())
	}
	if amount == 0 || amount > m.balance() {
		return nil
	}
	for amount > 0 {
		next := m.first()
		take := min(amount, m.lots[next].left)
		m.lots[next].left -= take
		amount -= take
		burned = append(burned, modelBurn{next, take})
	}
	m.commit(now)
	return burned
}

// first is the lot that burns first.
func (m *model) first() int {
	best := -1
	for i, l := range m.lots {
		if l.left > 0 && (best < 0 || burnsBefore(l, m.lots[best])) {
			best = i
		}
	}
	return best
}

func burnsBefore(a, b *modelLot) bool {
	return a.priority < b.priority || a.priority == b.priority && a.expires < b.expires
}

// read is what a reader sees at a moment, before any posting: the balance, what
// expires next, and the state of each lot.
func (m *model) read(now time.Duration) (balance int64, next *creditledger.Expiry, grants []modelGrant) {
	soonest := never
	for _, l := range m.lots {
		g := modelGrant{amount: l.amount, left: l.left, status: creditledger.GrantActive}
		switch {
		case l.expired > 0, l.left > 0 && l.expires <= now:
			g.left, g.status = 0, creditledger.GrantExpired
		case l.left == 0:
			g.status = creditledger.GrantDepleted
		default:
			soonest = min(soonest, l.expires)
		}
		balance += g.left
		grants = append(grants, g)
	}
	if soonest == never {
		return balance, nil, grants
	}
	next = &creditledger.Expiry{At: epoch.Add(soonest)}
	for i, l := range m.lots {
		if l.expires == soonest {
			next.Amount += grants[i].left
		}
	}
	return balance, next, grants
}

type modelGrant struct {
	amount, left int64
	status       creditledger.GrantStatus
}
