package ledgerproof

import (
	"bytes"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/dbgen"
)

// account is an account while its history is done again: what the records so far
// have made of it.
type account struct {
	*proof
	row dbgen.CreditAccount // as it is in the end

	balance  int64
	held     int64
	sequence int64 // of the newest transaction
	number   int64 // of the newest event of a hold
	batch    key   // the newest that named one of several records
	head     [32]byte
	last     time.Time // of the newest record, or of the account's beginning

	lots  shelf
	holds map[uuid.UUID]*hold // those that are active
	due   queue[hold]         // the same, in the order in which they expire
	// capturing is a capture whose event must follow.
	capturing *transaction
	// recorded are the heads that checkpoints have of it and no record has reached yet.
	recorded []dbgen.LedgerCheckpointHead
}

func (p *proof) newAccount(row *dbgen.LedgerProofAccountListRow) *account {
	return &account{
		proof: p, row: row.CreditAccount, last: row.CreditAccount.CreatedAt, lots: newShelf(), holds: map[uuid.UUID]*hold{},
		due: queue[hold]{before: expiresBefore, place: func(h *hold) *place { return &h.inDue }},
	}
}

// broken is a break in the account.
func (a *account) broken(record, problem string, args ...any) error {
	return brokenIn(a.row.UserID, record, problem, args...)
}

// replay does the whole history again.
func (a *account) replay() error {
	if err := a.readHeads(); err != nil {
		return err
	}
	for {
		if err := a.passHeads(); err != nil {
			return err
		}
		t, err := of(a.transactions, a.row.UserID)
		if err != nil {
			return err
		}
		e, err := of(a.events, a.row.UserID)
		if err != nil {
			return err
		}
		// The event of a capture has the time of its transaction and follows it.
		switch {
		case t == nil && e == nil:
			return a.finish()
		case e == nil || t != nil && a.capturing == nil && !t.CreatedAt.After(e.CreatedAt):
			err = a.transaction(t)
			a.transactions.skip()
		default:
			err = a.event(e)
			a.events.skip()
		}
		if err != nil {
			return err
		}
	}
}

// of returns the next row of a stream, nil if it is of another account.
func of[R owned](s *stream[R], userID uuid.UUID) (*R, error) {
	next, err := s.peek()
	if err != nil || next == nil || (*next).owner() != userID {
		return nil, err
	}
	return next, nil
}

// owned is a row that belongs to an account.
type owned interface{ owner() uuid.UUID }

// record is what transactions and events of holds have in common.
type record struct {
	what, kind string // "transaction" or "hold event", and of which type
	number     int64
	userID     uuid.UUID
	at         time.Time
	actorType  string
	actorID    *uuid.UUID
	reference  *string
	noteDigest []byte
	key        *string
	// fingerprint is that of the key.
	fingerprint []byte
}

// broken is a break in the record.
func (r *record) broken(problem string, args ...any) error {
	return brokenIn(r.userID, fmt.Sprintf("%s %d (%s)", r.what, r.number, r.kind), problem, args...)
}

// asked says whether somebody asked for it; the ledger does the rest by itself.
func (r *record) asked() bool { return r.key != nil }

// byItself says that nobody stands behind it.
func (r *record) byItself() bool {
	return r.actorType == string(creditledger.ActorSystem) && r.reference == nil && r.noteDigest == nil
}

// comesAfter checks the time of a record.
func (a *account) comesAfter(r *record) error {
	if !r.at.After(a.last) {
		return r.broken("its time %s is not after that of the record before it, %s", moment(r.at), moment(a.last))
	}
	return nil
}

// nothingDue checks that all that was over when something was asked for had been
// closed before: what has expired is never spent.
func (a *account) nothingDue(r *record) error {
	if h := a.due.first(); h != nil && h.expired(r.at) {
		return r.broken("hold %s had expired at %s, and was not closed first", h.id(), moment(h.row.ExpiresAt))
	}
	return a.nothingOver(r)
}

// nothingOver is the same for lots alone.
func (a *account) nothingOver(r *record) error {
	l := a.lots.firstOver(r.at)
	switch {
	case l == nil:
		return nil
	case l.revokedAt != nil:
		return r.broken("grant %s was revoked, and %d that went back to it were not taken out", l.grant.ID, l.free())
	}
	return r.broken("grant %s had expired at %s, and what was left of it, %d, was not taken out", l.grant.ID, moment(*l.grant.ExpiresAt), l.free())
}

// chain checks the hash of a record, and makes it the head.
func (a *account) chain(r *record, want [32]byte, have []byte) error {
	if (r.actorType == string(creditledger.ActorSystem)) != (r.actorID == nil) {
		return r.broken("its actor is a %s with the id %s", r.actorType, caller(r.actorID)) // both ways have one hash
	}
	if !bytes.Equal(want[:], have) {
		return r.broken("its hash is not that of its contents upon the record before it: something of it, of its Idempotency-Key, of the terms of its grant, or of the order of records was changed")
	}
	a.head = want
	return nil
}

// move changes the balance, within its bounds.
func (a *account) move(r *record, amount int64) error {
	a.balance += amount
	if a.balance < a.held || a.balance > creditledger.MaxBalance {
		return r.broken("it takes the balance to %d, of which %d are held", a.balance, a.held)
	}
	return nil
}

// finish compares the account with what its records have made of it.
func (a *account) finish() error {
	row := &a.row
	if a.capturing != nil {
		return a.capturing.broken("the event of the hold that it captures is missing")
	}
	if err := a.noMore(); err != nil {
		return err
	}
	for _, c := range []struct {
		what       string
		have, want int64
	}{
		{"sequence", row.Sequence, a.sequence},
		{"number of hold events", row.HoldEvents, a.number},
		{"balance", row.Balance, a.balance},
		{"held amount", row.Held, a.held},
	} {
		if c.have != c.want {
			return a.broken("", "its %s is %d, but its records make it %d", c.what, c.have, c.want)
		}
	}
	if !bytes.Equal(row.HeadHash, a.head[:]) {
		return a.broken("", "its head is not the hash of its newest record")
	}
	if !row.UpdatedAt.Equal(a.last) {
		return a.broken("", "it says that it last changed at %s, but its newest record is of %s", moment(row.UpdatedAt), moment(a.last))
	}
	if err := a.nothingOver(&record{userID: row.UserID, what: "transaction", number: a.sequence, kind: "the newest", at: a.last}); err != nil {
		return err
	}
	for _, h := range a.holds {
		if err := a.sameHold(h, string(creditledger.HoldActive)); err != nil {
			return err
		}
	}
	for _, l := range a.lots.byID {
		if !l.final() {
			return a.broken("grant "+l.grant.ID.String(), "it should have %d remaining, %d of them held, %d expired, and be %s; it has %d, %d, %d, and is %s",
				l.remaining, l.held, l.expired, revoked(l.revokedAt), l.grant.Remaining, l.grant.Held, l.grant.Expired, revoked(l.grant.RevokedAt))
		}
	}
	return nil
}

// noMore checks that nothing is left that belongs to no record.
func (a *account) noMore() error {
	g, err := of(a.grants, a.row.UserID)
	if err != nil {
		return err
	}
	if g != nil {
		return a.broken("grant "+g.ID.String(), "no transaction has made it")
	}
	if err := a.noMoreKeys(); err != nil {
		return err
	}
	n, err := of(a.notes, a.row.UserID)
	if err != nil {
		return err
	}
	if n != nil {
		return a.broken(transactionName(n.Sequence), "there is a text for it, but no such transaction")
	}
	if len(a.recorded) > 0 {
		h := a.recorded[0]
		return a.broken("", "at checkpoint %d it had %d transactions and %d hold events; now it has %d and %d, the newest were cut off", h.Checkpoint, h.Sequence, h.HoldEvents, a.sequence, a.number)
	}
	return nil
}

// text checks a free text against the digest that the chain has of it, and says
// what is wrong. Of a closed account texts are erased.
func (a *account) text(digest, salt []byte, note creditledger.Note) (problem string) {
	switch {
	case salt != nil && a.row.ClosedAt != nil:
		return "its text is still there, although the account was closed"
	case salt != nil && digest == nil:
		return "it has a text that it was made without"
	case salt == nil && digest != nil && a.row.ClosedAt == nil:
		return "its text is missing, although the account is open"
	case salt != nil && !bytes.Equal(digest, creditledger.NoteDigest(salt, note)):
		return "its text, the description or the metadata, was changed"
	}
	return ""
}

func transactionName(sequence int64) string { return fmt.Sprintf("transaction %d", sequence) }

// momentLayout is how times are told, in UTC.
const momentLayout = "2006-01-02T15:04:05.000000Z"

func moment(t time.Time) string { return t.UTC().Format(momentLayout) }

func revoked(at *time.Time) string {
	if at == nil {
		return "not revoked"
	}
	return "revoked at " + moment(*at)
}
