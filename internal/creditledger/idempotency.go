package creditledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// Request is who asks for a posting, and how it is recognised when it is sent again.
type Request struct {
	Actor Actor
	// Key is the Idempotency-Key; it belongs to the actor.
	Key string
	// Fingerprint is a SHA-256 over what is asked for: another request under
	// the same key is refused.
	Fingerprint [32]byte
	// Refusal makes the answer that a refusal gives, so that a repeated request
	// is answered with the same bytes.
	Refusal func(*apperr.Error) (status int, body []byte)
}

// Receipt is the transaction that a request made, now or when it was first sent.
type Receipt struct {
	Transaction Transaction
	Replayed    bool
}

// Refused is a refusal that is kept under the request's key.
type Refused struct {
	Status   int
	Body     []byte
	Replayed bool
	Reason   *apperr.Error // nil when replayed
}

// Error gives the reason.
func (r *Refused) Error() string {
	if r.Reason == nil {
		return fmt.Sprintf("refused with %d before", r.Status)
	}
	return r.Reason.Error()
}

// Unwrap returns the reason.
func (r *Refused) Unwrap() error {
	if r.Reason == nil {
		return nil
	}
	return r.Reason
}

// isRefusal tells an answer to the client from a fault of ours.
func isRefusal(err error) bool {
	var e *apperr.Error
	return errors.As(err, &e) && e.Kind != apperr.Internal && e.Kind != apperr.Unavailable
}

// keepable says whether a refusal depends on the state, so that a late
// duplicate must get it again even if the state has changed.
func keepable(err error) bool {
	for _, kept := range []error{ErrCaptureExceedsHold, ErrReversalExceedsOriginal, ErrNotReversible} {
		if errors.Is(err, kept) {
			return true
		}
	}
	switch apperr.From(err).Kind {
	case apperr.InsufficientCredits, apperr.NotFound, apperr.Conflict:
		return true
	default:
		return false
	}
}

// keyIsTaken recognises the loser of a race between two requests under one key:
// tried again, it finds the winner's answer.
func keyIsTaken(err error) bool { return pgdb.Broke(err, pgdb.ConstraintIdempotencyKey) }

// transaction is the one that a request makes, before it has a place in an account.
func (r *Request) transaction(reference *string, note Note) *Transaction {
	return &Transaction{
		Actor: r.Actor, Reference: reference, Note: note,
		IdempotencyKey: &r.Key, fingerprint: r.Fingerprint[:],
	}
}

// holdEvent is the same for what a request does to a hold.
func (r *Request) holdEvent(what HoldEventType) *HoldEvent {
	return &HoldEvent{Type: what, Actor: r.Actor, IdempotencyKey: &r.Key, fingerprint: r.Fingerprint[:]}
}

// outcome is what became of an operation.
type outcome struct {
	transaction *Transaction
	event       *HoldEvent
	parts       []part // of a transfer, as its one operation, or of a batch
	refused     *Refused
	replayed    bool
}

// is reports whether stored is this outcome: one of an earlier try, whose commit
// was not heard of. Of refusals, which all look alike, it cannot tell.
func (o outcome) is(stored outcome) bool {
	switch {
	case o.transaction != nil && stored.transaction != nil:
		return o.transaction.ID == stored.transaction.ID
	case o.event != nil && stored.event != nil:
		return o.event.Hash == stored.event.Hash
	}
	return slices.EqualFunc(o.parts, stored.parts, func(a, b part) bool {
		return slices.EqualFunc(a.made, b.made, func(a, b *Transaction) bool { return a.ID == b.ID })
	}) && slices.ContainsFunc(o.parts, func(p part) bool { return len(p.made) > 0 })
}

// part is what became of one operation of several.
type part struct {
	made    []*Transaction
	status  int // of a refusal
	problem []byte
}

// partColumn is a part as the key keeps it: made of references, because rows
// never change, and because a person's text must be erasable.
type partColumn struct {
	Records []recordColumn `json:"records,omitempty"`
	Status  int            `json:"status,omitempty"`
	Problem string         `json:"problem,omitempty"` // as it was answered, byte for byte
}

type recordColumn struct {
	UserID   uuid.UUID `json:"user_id"`
	Sequence int64     `json:"sequence"`
}

func partsColumn(parts []part) json.RawMessage {
	columns := make([]partColumn, len(parts))
	for i, p := range parts {
		for _, t := range p.made {
			columns[i].Records = append(columns[i].Records, recordColumn{t.UserID, t.Sequence})
		}
		columns[i].Status, columns[i].Problem = p.status, string(p.problem)
	}
	column, _ := json.Marshal(columns) // ids, numbers and strings: cannot fail
	return column
}

// replay answers a request as it was answered when it was first sent.
func (l *Ledger) replay(ctx context.Context, key dbgen.IdempotencyKey) (o outcome, err error) {
	o.replayed = true
	switch {
	case key.Body != nil:
		o.refused = &Refused{Status: int(key.Status), Body: key.Body, Replayed: true}
	case key.HoldEvent != nil:
		o.event, err = l.holdEvent(ctx, *key.UserID, *key.HoldEvent)
	case key.Sequence != nil:
		var made []*Transaction
		if made, err = l.transactions(ctx, []recordColumn{{*key.UserID, *key.Sequence}}); err == nil {
			o.transaction = made[0]
		}
	default:
		o.parts, err = l.parts(ctx, key.Parts)
	}
	if err != nil {
		return outcome{}, fmt.Errorf("replaying an idempotency key: %w", err)
	}
	return o, nil
}

func (l *Ledger) parts(ctx context.Context, column []byte) ([]part, error) {
	var columns []partColumn
	if err := json.Unmarshal(column, &columns); err != nil {
		return nil, err
	}
	var records []recordColumn
	for _, c := range columns {
		records = append(records, c.Records...)
	}
	made, err := l.transactions(ctx, records)
	if err != nil {
		return nil, err
	}
	parts := make([]part, len(columns))
	for i, c := range columns {
		parts[i] = part{made: made[:len(c.Records):len(c.Records)], status: c.Status}
		if c.Problem != "" {
			parts[i].problem = []byte(c.Problem)
		}
		made = made[len(c.Records):]
	}
	return parts, nil
}

// transactions reads transactions in the order asked for.
func (l *Ledger) transactions(ctx context.Context, records []recordColumn) ([]*Transaction, error) {
	var names dbgen.CreditTransactionListNamedParams
	for _, r := range records {
		names.UserIds, names.Sequences = append(names.UserIds, r.UserID), append(names.Sequences, r.Sequence)
	}
	rows, err := l.q.CreditTransactionListNamed(ctx, l.pool, names)
	if err != nil {
		return nil, err
	}
	found := make(map[recordColumn]*Transaction, len(rows))
	for _, row := range rows {
		t, err := transactionFrom(row.CreditTransaction, row.Description, row.Metadata)
		if err != nil {
			return nil, err
		}
		found[recordColumn{t.UserID, t.Sequence}] = &t
	}
	made := make([]*Transaction, len(records))
	for i, r := range records {
		if made[i] = found[r]; made[i] == nil {
			return nil, fmt.Errorf("transaction %d of %s is missing", r.Sequence, r.UserID)
		}
	}
	return made, nil
}

func (l *Ledger) holdEvent(ctx context.Context, userID uuid.UUID, number int64) (*HoldEvent, error) {
	row, err := l.q.CreditHoldEventGet(ctx, l.pool, dbgen.CreditHoldEventGetParams{UserID: userID, Number: number})
	if err != nil {
		return nil, err
	}
	e := row.CreditHoldEvent
	return &HoldEvent{UserID: userID, Number: number, Type: HoldEventType(e.Type), Hold: Hold{
		ID: e.HoldID, UserID: userID, Amount: e.Amount, Captured: e.Captured, Status: HoldStatus(e.Status),
		ExpiresAt: e.ExpiresAt, Reference: e.Reference, Note: Note{Description: row.Description, Metadata: row.Metadata},
		TransactionID: e.TransactionID, CreatedAt: row.HoldCreatedAt, UpdatedAt: e.CreatedAt,
	}}, nil
}
