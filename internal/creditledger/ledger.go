package creditledger

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// MaxBalance is the largest balance and the largest amount, 2^53 - 1: the
// largest integer that every client language holds exactly.
const MaxBalance = 1<<53 - 1

// Refusals. Those that depend on the state of the account are kept under the
// request's Idempotency-Key; see keepable.
var (
	ErrUserNotFound         = apperr.New(apperr.NotFound, "user_not_found", "There is no such user.")
	ErrInsufficientCredits  = apperr.New(apperr.InsufficientCredits, "insufficient_credits", "The account has fewer credits available than this needs.")
	ErrBalanceLimitExceeded = apperr.New(apperr.Conflict, "balance_limit_exceeded", "The balance would pass the limit of 9007199254740991.")
	ErrAmountOutOfRange     = apperr.InvalidField("/amount", "must be from 1 to 9007199254740991")
	ErrExpiryInThePast      = apperr.InvalidField("/expires_at", "must lie in the future")
	ErrKeyReused            = apperr.New(apperr.Invalid, "idempotency_key_reused", "This Idempotency-Key was used for another request.")
)

// validAmount is the last word on amounts, whoever calls: a negative debit would make credits.
func validAmount(amount int64) bool { return 1 <= amount && amount <= MaxBalance }

// Ledger is the credits of all users. Its methods may be called concurrently,
// in several processes on one database.
type Ledger struct {
	pool *pgxpool.Pool
	q    *dbgen.Queries
	now  func() time.Time
}

// New returns a ledger on a migrated database. now is the clock, time.Now but in tests.
func New(pool *pgxpool.Pool, now func() time.Time) *Ledger {
	return &Ledger{pool: pool, q: dbgen.New(), now: now}
}

// OpenAccount makes a user's account, empty, in the transaction that makes the user.
func (l *Ledger) OpenAccount(ctx context.Context, tx pgx.Tx, userID uuid.UUID) error {
	err := l.q.CreditAccountInsert(ctx, tx, dbgen.CreditAccountInsertParams{UserID: userID, Now: l.clock()})
	if err != nil {
		return fmt.Errorf("opening the credit account: %w", err)
	}
	return nil
}

// CloseAccount ends a deleted user's account, in the transaction that deletes
// the user: nothing moves any more, and the person's text is erased. Amounts and
// references stay, so that the ledger adds up.
func (l *Ledger) CloseAccount(ctx context.Context, tx pgx.Tx, userID uuid.UUID) error {
	// Closing waits for a posting under way; its text is there to be erased afterwards.
	if err := l.q.CreditAccountClose(ctx, tx, dbgen.CreditAccountCloseParams{UserID: userID, Now: l.clock()}); err != nil {
		return fmt.Errorf("closing the credit account: %w", err)
	}
	if err := l.q.CreditTransactionNoteDeleteOfUser(ctx, tx, userID); err != nil {
		return fmt.Errorf("erasing the text of transactions: %w", err)
	}
	return nil
}

const (
	// refusalsKept is how long a refusal is answered again; the contract promises 48 hours.
	refusalsKept = 72 * time.Hour
	// cleanUpPage is how many rows one statement removes.
	cleanUpPage = 1000
)

// CleanUp forgets refusals that were kept long enough. It may run at any time,
// on several replicas.
func (l *Ledger) CleanUp(ctx context.Context) error {
	for {
		before := l.clock().Add(-refusalsKept)
		deleted, err := l.q.IdempotencyKeyDeleteRefusals(ctx, l.pool, dbgen.IdempotencyKeyDeleteRefusalsParams{Before: before, PageSize: cleanUpPage})
		if err != nil || deleted < cleanUpPage {
			return pgdb.Classify(err)
		}
	}
}

// clock tells the time as PostgreSQL keeps it, in microseconds, so that what is
// answered now and what is read later are the same.
func (l *Ledger) clock() time.Time { return l.now().UTC().Truncate(time.Microsecond) }
