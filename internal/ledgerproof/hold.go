package ledgerproof

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/dbgen"
)

// hold is an active hold as the events so far have left it.
type hold struct {
	row           *dbgen.LedgerProofHoldListNamedRow // as it is in the end
	amount        int64
	captured      int64
	pinned        []creditledger.Burn // what it still pins, in the order in which it will be taken
	noted         bool                // whether it has a text, or had one
	transactionID *uuid.UUID          // of the newest capture
	updatedAt     time.Time

	inDue place
}

func (h *hold) id() uuid.UUID { return h.row.ID }

func (h *hold) expired(at time.Time) bool { return !h.row.ExpiresAt.After(at) }

func (h *hold) left() int64 { return h.amount - h.captured }

// expiresBefore is the order in which holds are closed.
func expiresBefore(a, b *hold) bool {
	x, y := a.row, b.row
	if c := x.ExpiresAt.Compare(y.ExpiresAt); c != 0 {
		return c < 0
	}
	return bytes.Compare(x.ID[:], y.ID[:]) < 0
}

// event is an event of a hold, beside what it has to do with.
type event struct {
	dbgen.LedgerProofHoldEventListRow
	record
	pinned   []creditledger.Burn
	readable bool                               // whether pinned is what the column says
	hold     *dbgen.LedgerProofHoldListNamedRow // where it is placed; nil for none
}

func (e event) owner() uuid.UUID { return e.UserID }

func readEvents(ctx context.Context, r reader, after event) ([]event, error) {
	rows, err := r.LedgerProofHoldEventList(ctx, r.db, dbgen.LedgerProofHoldEventListParams{UserID: after.UserID, Number: after.Number, PageSize: r.size})
	if err != nil {
		return nil, err
	}
	events := make([]event, len(rows))
	var placed dbgen.LedgerProofHoldListNamedParams
	for i := range rows {
		row := &rows[i]
		e := event{LedgerProofHoldEventListRow: *row, record: record{
			what: "hold event", number: row.Number, kind: row.Type, userID: row.UserID, at: row.CreatedAt,
			actorType: row.ActorType, actorID: row.ActorID, reference: row.Reference, noteDigest: row.NoteDigest, key: row.IdempotencyKey,
		}}
		e.pinned, e.readable = burnsFrom(e.Pinned)
		if e.Type == string(creditledger.EventPlaced) {
			placed.UserIds, placed.Ids = append(placed.UserIds, e.UserID), append(placed.Ids, e.HoldID)
		}
		events[i] = e
	}
	if len(placed.Ids) == 0 {
		return events, nil
	}
	holds, err := r.LedgerProofHoldListNamed(ctx, r.db, placed)
	if err != nil {
		return nil, err
	}
	found := make(map[[2]uuid.UUID]*dbgen.LedgerProofHoldListNamedRow, len(holds))
	for i := range holds {
		found[[2]uuid.UUID{holds[i].UserID, holds[i].ID}] = &holds[i]
	}
	for i := range events {
		events[i].hold = found[[2]uuid.UUID{events[i].UserID, events[i].HoldID}]
	}
	return events, nil
}

// event does an event again.
func (a *account) event(e *event) error {
	if e.Number != a.number+1 {
		return a.broken(fmt.Sprintf("hold event %d", a.number+1), "it is missing; the next one has the number %d", e.Number)
	}
	a.number++
	capture := a.capturing
	a.capturing = nil
	switch {
	case !e.readable:
		return e.broken("what it pinned cannot be read")
	case capture != nil && e.Type != string(creditledger.EventCaptured):
		return e.broken("it is not the event of the capture before it, transaction %d", capture.Sequence)
	case capture != nil && !e.at.Equal(a.last):
		return e.broken("its time is not that of its capture, transaction %d", capture.Sequence)
	case capture == nil && e.Type == string(creditledger.EventCaptured):
		return e.broken("no capture comes before it")
	case capture == nil:
		if err := a.comesAfter(&e.record); err != nil {
			return err
		}
	}
	status := int16(statusChanged)
	if e.Type == string(creditledger.EventPlaced) {
		status = statusMade
	}
	if err := a.keyOfEvent(e, status); err != nil {
		return err
	}
	if err := a.chain(&e.record, e.rehash(a.head), e.Hash); err != nil {
		return err
	}
	if err := a.apply(e, capture); err != nil {
		return err
	}
	if e.HeldAfter != a.held {
		return e.broken("it says that %d are held after it, but it is %d", e.HeldAfter, a.held)
	}
	a.last = e.at
	a.report.HoldEvents++
	return nil
}

func (e *event) rehash(previous [32]byte) [32]byte {
	return creditledger.HashHoldEvent(previous, &creditledger.HoldEventRow{
		HoldEvent: creditledger.HoldEvent{
			UserID: e.UserID, Number: e.Number, Type: creditledger.HoldEventType(e.Type),
			Hold: creditledger.Hold{
				ID: e.HoldID, Amount: e.Amount, Captured: e.Captured, Status: creditledger.HoldStatus(e.Status),
				ExpiresAt: e.ExpiresAt, Reference: e.Reference, TransactionID: e.TransactionID, UpdatedAt: e.CreatedAt,
			},
			Pinned: e.pinned, HeldAfter: e.HeldAfter, Actor: actor(e.ActorType, e.ActorID), IdempotencyKey: e.IdempotencyKey,
		},
		NoteDigest: e.NoteDigest, Fingerprint: e.fingerprint,
	})
}

// apply does what the event did, and checks that the hold is afterwards what the
// event says of it.
func (a *account) apply(e *event, capture *transaction) error {
	if e.Type == string(creditledger.EventPlaced) {
		return a.place(e)
	}
	h := a.holds[e.HoldID]
	if h == nil {
		return e.broken("hold %s is not active: it was never placed, or has ended", e.HoldID)
	}
	switch expired := e.Type == string(creditledger.EventExpired); {
	case e.asked() == expired:
		return e.broken("holds expire by themselves, and nothing else happens to them unasked")
	case expired && (!h.expired(e.at) || e.actorType != string(creditledger.ActorSystem)):
		return e.broken("the hold was to expire at %s, by itself", moment(h.row.ExpiresAt))
	case e.NoteDigest != nil:
		return e.broken("only what places a hold has a text")
	}
	if e.asked() && capture == nil { // what was due at a capture was looked for before it
		if err := a.nothingDue(&e.record); err != nil {
			return err
		}
	}
	status := creditledger.HoldActive
	var pinned []creditledger.Burn
	switch creditledger.HoldEventType(e.Type) {
	case creditledger.EventIncremented:
		more := e.Amount - h.amount
		if more < 1 || more > a.balance-a.held {
			return e.broken("it holds %d more, of %d available", more, a.balance-a.held)
		}
		h.amount += more
		pinned = a.pin(h, more)
	case creditledger.EventCaptured:
		if capture.HoldID == nil || *capture.HoldID != e.HoldID {
			return e.broken("it is of another hold than the capture before it, transaction %d", capture.Sequence)
		}
		pinned = negative(capture.burned)
		h.transactionID = &capture.ID
		if h.left() == 0 || e.Status != string(creditledger.HoldActive) {
			status = creditledger.HoldCaptured
			pinned = append(pinned, negative(a.unpin(h, h.left(), false))...)
		}
	case creditledger.EventVoided:
		status, pinned = creditledger.HoldVoided, negative(a.unpin(h, h.left(), false))
	case creditledger.EventExpired:
		status, pinned = creditledger.HoldExpired, negative(a.unpin(h, h.left(), false))
	default:
		return e.broken("there are no such events")
	}
	return a.afterwards(e, h, status, pinned)
}

func (a *account) place(e *event) error {
	if err := a.nothingDue(&e.record); err != nil {
		return err
	}
	switch {
	case e.hold == nil:
		return e.broken("hold %s is missing", e.HoldID)
	case a.holds[e.HoldID] != nil || !e.hold.CreatedAt.Equal(e.at):
		return e.broken("hold %s was placed at another time, %s", e.HoldID, moment(e.hold.CreatedAt))
	case !e.asked():
		return e.broken("nobody asked for it")
	case !e.ExpiresAt.After(e.at):
		return e.broken("the hold had expired before it was placed")
	case e.Amount < 1 || e.Amount > a.balance-a.held:
		return e.broken("it holds %d, of %d available", e.Amount, a.balance-a.held)
	}
	note := creditledger.Note{Description: e.hold.Description, Metadata: e.hold.Metadata}
	if problem := a.text(e.NoteDigest, e.hold.Salt, note); problem != "" {
		return a.broken("hold "+e.HoldID.String(), "%s", problem)
	}
	a.count.Holds++
	if e.hold.Salt != nil {
		a.count.HoldNotes++
	}
	h := &hold{row: e.hold, amount: e.Amount, noted: e.NoteDigest != nil}
	a.holds[e.HoldID] = h
	a.due.add(h)
	return a.afterwards(e, h, creditledger.HoldActive, a.pin(h, e.Amount))
}

// afterwards compares the hold with what the event says of it.
func (a *account) afterwards(e *event, h *hold, status creditledger.HoldStatus, pinned []creditledger.Burn) error {
	h.updatedAt = e.at
	switch {
	case e.Amount != h.amount || e.Captured != h.captured:
		return e.broken("it says that %d of %d are captured, but it is %d of %d", e.Captured, e.Amount, h.captured, h.amount)
	case e.Status != string(status):
		return e.broken("it says that the hold is %s, but it is %s", e.Status, status)
	case !slices.Equal(e.pinned, pinned):
		return e.broken("it pinned or let go of %s, but should %s", list(e.pinned), list(pinned))
	case !e.ExpiresAt.Equal(h.row.ExpiresAt) || !sameText(e.Reference, h.row.Reference):
		return e.broken("its expiry or its reference is not that of hold %s", e.HoldID)
	case !sameID(e.TransactionID, h.transactionID):
		return e.broken("it does not name the newest capture of hold %s", e.HoldID)
	}
	if status == creditledger.HoldActive {
		return nil
	}
	delete(a.holds, e.HoldID)
	a.due.remove(h)
	return a.sameHold(h, string(status))
}

// sameHold compares a hold with its row.
func (a *account) sameHold(h *hold, status string) error {
	row := h.row
	name := "hold " + row.ID.String()
	pinned, readable := burnsFrom(row.Pinned)
	switch {
	case !readable || !slices.Equal(pinned, h.pinned):
		return a.broken(name, "it should pin %s, but says %s", list(h.pinned), row.Pinned)
	case row.Amount != h.amount || row.Captured != h.captured || row.Status != status:
		return a.broken(name, "it is %s with %d of %d captured, but its events make it %s with %d of %d", row.Status, row.Captured, row.Amount, status, h.captured, h.amount)
	case !sameID(row.TransactionID, h.transactionID):
		return a.broken(name, "it does not name its newest capture")
	case !row.UpdatedAt.Equal(h.updatedAt):
		return a.broken(name, "it says that it last changed at %s, but its newest event is of %s", moment(row.UpdatedAt), moment(h.updatedAt))
	}
	return nil
}

// pin sets amount, which is available, apart for h.
func (a *account) pin(h *hold, amount int64) []creditledger.Burn {
	pinned := a.lots.take(amount, true)
	h.pinned = append(h.pinned, pinned...)
	a.held += amount
	return pinned
}

// unpin takes amount of what h pins, from the front: it is spent, or can be
// spent again.
func (a *account) unpin(h *hold, amount int64, spent bool) (taken []creditledger.Burn) {
	a.held -= amount
	for amount > 0 {
		first := &h.pinned[0]
		part := min(amount, first.Amount)
		l := a.lots.byID[first.GrantID]
		l.held -= part
		if spent {
			l.remaining -= part
		}
		a.lots.changed(l)
		taken = append(taken, creditledger.Burn{GrantID: first.GrantID, Amount: part})
		amount -= part
		if first.Amount -= part; first.Amount == 0 {
			h.pinned = h.pinned[1:]
		}
	}
	return taken
}
