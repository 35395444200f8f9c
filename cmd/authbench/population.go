package main

import (
	"encoding/binary"
	"encoding/json"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/creditledger"
)

// population is users with a history, all of it made up from a seed: the same
// seed gives the same rows, so that they need not be kept to be written in
// parts. A history begins with grants, goes on with nine debits and a grant in
// turns, and ends with a large grant, so that there is something left to spend.
type population struct {
	seed  uint64
	users int
	// openGrants are made first, with different terms, and not spent from.
	openGrants int
	// spending is how many transactions follow in each account. They grant and
	// burn such amounts that about one grant is open in the end.
	spending int
	// actor is the API key that made it all.
	actor        uuid.UUID
	passwordHash string    // of every user
	begin        time.Time // of the first transaction; each comes a microsecond or more after the one before it
	step         time.Duration
}

const (
	// lastGrant is the amount of the last grant of each account.
	lastGrant = 1_000_000_000_000
	// openGrant is that of each of the first ones.
	openGrant = 20
	// Of the grants and debits between.
	spentGrant, largestDebit = 500, 100
	defaultPriority          = 50
)

// perUser is how many transactions each account has.
func (p *population) perUser() int { return p.openGrants + p.spending + 1 }

func (p *population) transactions() int { return p.users * p.perUser() }

// credit is a grant as the ledger keeps it.
type credit struct {
	id                uuid.UUID
	sequence          int64
	amount, remaining int64
	priority          int16
	expiresAt         *time.Time
	at                time.Time
}

// ledgerAccount is an account as it is after its history so far.
type ledgerAccount struct {
	balance, sequence int64
	head              [32]byte
	updated           time.Time
	credits           []credit
	first             int // credits before it are spent
}

// entry is a transaction of a history.
type entry struct {
	user        int
	id          uuid.UUID
	sequence    int64
	kind        creditledger.TransactionType
	amount      int64
	balance     int64
	grantID     *uuid.UUID
	made        *credit // by a grant
	burned      []creditledger.Burn
	key         string
	fingerprint [32]byte
	hash        [32]byte
	at          time.Time
}

// mix is a pseudo-random number for a row (the finaliser of SplitMix64).
func (p *population) mix(what uint64, i int) uint64 {
	x := p.seed ^ what<<56 ^ uint64(i)*0x9e3779b97f4a7c15 //nolint:gosec // not negative
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// What rows are made up for; see mix.
const (
	forUser uint64 = iota
	forEntry
	forGrant
	forKey
	forFingerprint
	forAmount
)

func (p *population) random(what uint64, i int) (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], p.mix(what, 2*i))
	binary.BigEndian.PutUint64(b[8:], p.mix(what, 2*i+1))
	return b
}

// uuidAt is a UUIDv7 of a moment, to the microsecond as the service makes them.
func (p *population) uuidAt(at time.Time, what uint64, i int) uuid.UUID {
	random := uuid.UUID(p.random(what, i))
	micros := uint64(at.UnixMicro())
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], micros/1000<<16|0x7000|micros%1000*4096/1000)
	copy(id[8:], random[8:])
	id[8] = id[8]&0x3f | 0x80
	return id
}

// userID is the id of the i-th user.
func (p *population) userID(i int) uuid.UUID { return p.uuidAt(p.registered(i), forUser, i) }

func (p *population) registered(i int) time.Time {
	return p.begin.Add(-time.Hour + time.Duration(i)*time.Microsecond).Truncate(time.Microsecond)
}

func (p *population) userIDs() []uuid.UUID {
	ids := make([]uuid.UUID, p.users)
	for i := range ids {
		ids[i] = p.userID(i)
	}
	return ids
}

// at is the time of the n-th transaction of all.
func (p *population) at(n int) time.Time { return p.begin.Add(time.Duration(n) * p.step) }

// user is whose the n-th transaction of all is. Everybody has one in turn, but
// not in the order of the ids: rows of real histories lie anywhere, too.
func (p *population) user(n int) int {
	const prime = 2_147_483_647 // larger than any number of users, so that all of them come
	round, place := n/p.users, n%p.users
	return int((uint64(place)*prime + uint64(round)*104_729) % uint64(p.users)) //nolint:gosec // not negative
}

func (p *population) key(n int) string {
	return uuid.UUID(p.random(forKey, n)).String()
}

func (p *population) fingerprint(n int) (f [32]byte) {
	a, b := p.random(forFingerprint, 2*n), p.random(forFingerprint, 2*n+1)
	copy(f[:16], a[:])
	copy(f[16:], b[:])
	return f
}

// history plays all transactions, in the order of their time. accounts is
// changed with them.
func (p *population) history(accounts []ledgerAccount) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for n := range p.transactions() {
			user := p.user(n)
			e := p.play(&accounts[user], n, user, n/p.users)
			if !yield(e) {
				return
			}
		}
	}
}

// play applies the n-th transaction of all, which is the i-th of its account.
func (p *population) play(a *ledgerAccount, n, user, i int) *entry {
	a.sequence++
	e := &entry{user: user, sequence: a.sequence, at: p.at(n), key: p.key(n), fingerprint: p.fingerprint(n)}
	e.id = p.uuidAt(e.at, forEntry, n)
	switch spent := i - p.openGrants; {
	case spent < 0:
		expires := p.begin.AddDate(50, 0, int(p.mix(forAmount, n)%1000))
		p.grant(a, e, n, openGrant, int16(p.mix(forGrant, n)%101), &expires)
	case spent == p.spending:
		p.grant(a, e, n, lastGrant, defaultPriority, nil)
	case spent%10 == 0 || a.balance == 0:
		p.grant(a, e, n, spentGrant, defaultPriority, nil)
	default:
		p.debit(a, e, 1+int64(p.mix(forAmount, n)%largestDebit))
	}
	a.balance += e.amount
	e.balance = a.balance
	a.updated = e.at
	e.hash = p.chain(a.head, p.userID(user), e)
	a.head = e.hash
	return e
}

func (p *population) grant(a *ledgerAccount, e *entry, n int, amount int64, priority int16, expires *time.Time) {
	c := credit{id: p.uuidAt(e.at, forGrant, n), sequence: e.sequence, amount: amount, remaining: amount, priority: priority, expiresAt: expires, at: e.at}
	a.credits = append(a.credits, c)
	e.kind, e.amount, e.grantID, e.made = creditledger.TypeGrant, amount, &c.id, &c
}

// debit burns the oldest credits first. It comes only where no others are open.
func (p *population) debit(a *ledgerAccount, e *entry, amount int64) {
	amount = min(amount, a.balance)
	e.kind, e.amount = creditledger.TypeDebit, -amount
	for amount > 0 {
		c := &a.credits[a.first]
		take := min(amount, c.remaining)
		if take > 0 {
			c.remaining -= take
			amount -= take
			e.burned = append(e.burned, creditledger.Burn{GrantID: c.id, Amount: take})
		}
		if c.remaining == 0 {
			a.first++
		}
	}
}

// chain is the hash of an entry, as the ledger would have made it.
func (p *population) chain(previous [32]byte, user uuid.UUID, e *entry) [32]byte {
	row := creditledger.TransactionRow{
		Transaction: creditledger.Transaction{
			UserID: user, Sequence: e.sequence, ID: e.id, Type: e.kind, Amount: e.amount, BalanceAfter: e.balance,
			GrantID: e.grantID, Burned: e.burned, Actor: creditledger.Actor{Type: creditledger.ActorAPIKey, ID: p.actor},
			IdempotencyKey: &e.key, CreatedAt: e.at,
		},
		Fingerprint: e.fingerprint[:],
	}
	if e.made != nil {
		row.Made = []creditledger.Terms{{Priority: e.made.priority, ExpiresAt: e.made.expiresAt}}
	}
	return creditledger.HashTransaction(previous, &row)
}

func (e *entry) burnedColumn() json.RawMessage {
	if len(e.burned) == 0 {
		return json.RawMessage("[]")
	}
	column, _ := json.Marshal(e.burned) // ids and integers: cannot fail
	return column
}
