package creditledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

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

// keepable says whether a refusal depends on the state, so that a late
// duplicate must get it again even if the state has changed.
func keepable(err error) bool {
	var e *apperr.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Kind {
	case apperr.InsufficientCredits, apperr.NotFound, apperr.Conflict:
		return true
	default:
		return false
	}
}

// keyIsTaken recognises the loser of a race between two requests under one key:
// tried again, it finds the winner's answer.
func keyIsTaken(err error) bool { return pgdb.Broke(err, pgdb.ConstraintIdempotencyKey) }

// answerKept answers a request that was answered before.
func (l *Ledger) answerKept(ctx context.Context, tx pgx.Tx, r Request) (_ Receipt, refusal error, kept bool, err error) {
	key, err := l.q.IdempotencyKeyGet(ctx, tx, dbgen.IdempotencyKeyGetParams{CallerID: r.Actor.ID, Key: r.Key})
	switch {
	case pgdb.NoRows(err):
		return Receipt{}, nil, false, nil
	case err != nil:
		return Receipt{}, nil, false, fmt.Errorf("looking up the idempotency key: %w", err)
	case !bytes.Equal(key.Fingerprint, r.Fingerprint[:]):
		return Receipt{}, ErrKeyReused, true, nil
	case key.Sequence == nil:
		return Receipt{}, &Refused{Status: int(key.Status), Body: key.Body, Replayed: true}, true, nil
	}
	row, err := l.q.CreditTransactionGet(ctx, tx, dbgen.CreditTransactionGetParams{UserID: *key.UserID, Sequence: *key.Sequence})
	if err != nil {
		return Receipt{}, nil, false, fmt.Errorf("reading the transaction of an idempotency key: %w", err)
	}
	t, err := transactionFrom(row.CreditTransaction, row.Description, row.Metadata)
	return Receipt{Transaction: t, Replayed: true}, nil, true, err
}

// statusApplied is what the contract answers with a transaction.
const statusApplied = 201

func (l *Ledger) keepTransaction(ctx context.Context, tx pgx.Tx, r Request, t *Transaction) error {
	return l.keep(ctx, tx, r, dbgen.IdempotencyKeyInsertParams{UserID: &t.UserID, Sequence: &t.Sequence, Status: statusApplied})
}

func (l *Ledger) keepRefusal(ctx context.Context, tx pgx.Tx, r Request, reason error) (refusal, err error) {
	refused := &Refused{Reason: apperr.From(reason)}
	refused.Status, refused.Body = r.Refusal(refused.Reason)
	return refused, l.keep(ctx, tx, r, dbgen.IdempotencyKeyInsertParams{Status: int16(refused.Status), Body: refused.Body}) //nolint:gosec // an HTTP status
}

func (l *Ledger) keep(ctx context.Context, tx pgx.Tx, r Request, row dbgen.IdempotencyKeyInsertParams) error {
	row.CallerID, row.Key, row.Fingerprint, row.Now = r.Actor.ID, r.Key, r.Fingerprint[:], l.clock()
	if err := l.q.IdempotencyKeyInsert(ctx, tx, row); err != nil {
		return fmt.Errorf("keeping the idempotency key: %w", err)
	}
	return nil
}

// transaction is the one that a request makes, before it has a place in an account.
func (r Request) transaction(reference *string, note Note) *Transaction {
	return &Transaction{
		Actor: r.Actor, Reference: reference, Note: note,
		IdempotencyKey: &r.Key, fingerprint: r.Fingerprint[:],
	}
}
