package creditledger

import (
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/apperr"
)

// account is one account while a posting holds its lock. Its methods decide and
// record what is to be written; they touch no database, so that the rules of
// the ledger can be read, and tested, as plain Go.
type account struct {
	userID   uuid.UUID
	balance  int64
	held     int64
	sequence int64
	head     [32]byte
	updated  time.Time // of the newest transaction
	// now is when the posting takes place, which is the time of its next
	// transaction. Whether a lot has expired is decided by it and nothing else,
	// so that no transaction spends what had expired by its own time.
	now time.Time

	posted  []*Transaction // to be inserted, in this order
	changed []*lot         // to be updated or inserted
}

// lot is a grant as a posting sees it.
type lot struct {
	id        uuid.UUID
	amount    int64
	remaining int64
	held      int64
	expired   int64
	priority  int16
	expiresAt *time.Time // nil for never
	sequence  int64      // of the transaction that made it; set with isNew
	isNew     bool
}

// free is what can be burned or expire: what no hold pins.
func (l *lot) free() int64 { return l.remaining - l.held }

// available is what can be spent.
func (a *account) available() int64 { return a.balance - a.held }

// advance sets the time, which goes on strictly from transaction to transaction
// even when the clocks of replicas disagree or go back.
func (a *account) advance(clock time.Time) {
	if a.now = clock; !clock.After(a.updated) {
		a.now = a.updated.Add(time.Microsecond)
	}
}

// expire takes out a lot that is due, but for what holds pin.
func (a *account) expire(l *lot) {
	amount := l.free()
	l.remaining -= amount
	l.expired += amount
	a.changed = append(a.changed, l)
	a.append(&Transaction{
		Type: TypeExpiry, Amount: -amount, GrantID: &l.id,
		Burned: []Burn{{GrantID: l.id, Amount: amount}},
		Actor:  Actor{Type: ActorSystem},
	})
}

// grant adds a lot.
func (a *account) grant(t *Transaction, l *lot) error {
	if l.expiresAt != nil && !l.expiresAt.After(a.now) {
		return ErrExpiryInThePast
	}
	if l.amount > MaxBalance-a.balance {
		return ErrBalanceLimitExceeded
	}
	t.Type, t.Amount, t.GrantID, t.grant = TypeGrant, l.amount, &l.id, l
	a.append(t)
	l.remaining, l.sequence, l.isNew = l.amount, t.Sequence, true
	a.changed = append(a.changed, l)
	return nil
}

// affordable decides what a debit of amount may take: all of it, with partial
// what there is but at least 1, or nothing.
func (a *account) affordable(amount int64, partial bool) (int64, error) {
	available := a.available()
	switch {
	case amount <= available:
		return amount, nil
	case partial && available > 0:
		return available, nil
	}
	refusal := *ErrInsufficientCredits
	refusal.Shortfall = &apperr.Shortfall{Required: amount, Available: available}
	return 0, &refusal
}

// debit burns amount from lots, which are in burning order and hold that much.
func (a *account) debit(t *Transaction, amount int64, lots []*lot) {
	t.Type, t.Amount = TypeDebit, -amount
	for _, l := range lots {
		take := min(amount, l.free())
		if take == 0 {
			continue
		}
		l.remaining -= take
		amount -= take
		t.Burned = append(t.Burned, Burn{GrantID: l.id, Amount: take})
		a.changed = append(a.changed, l)
		if amount == 0 {
			break
		}
	}
	a.append(t)
}

// append gives t its place in the account: number, balance, time and hash.
func (a *account) append(t *Transaction) {
	t.UserID = a.userID
	t.ID = uuid.Must(uuid.NewV7())
	a.sequence++
	t.Sequence = a.sequence
	a.balance += t.Amount
	t.BalanceAfter = a.balance
	t.CreatedAt, a.updated = a.now, a.now
	a.advance(a.now)
	if !t.Note.empty() {
		t.noteSalt = newSalt()
		t.noteDigest = digestNote(t.noteSalt, t.Note)
	}
	t.Hash = chainHash(a.head, t)
	a.head = t.Hash
	a.posted = append(a.posted, t)
}
