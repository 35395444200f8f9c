package creditledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
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

// Refusals. Those that depend on the state are kept under the request's
// Idempotency-Key; see keepable.
var (
	ErrUserNotFound            = apperr.New(apperr.NotFound, "user_not_found", "There is no such user.")
	ErrGrantNotFound           = apperr.New(apperr.NotFound, "grant_not_found", "There is no such grant.")
	ErrHoldNotFound            = apperr.New(apperr.NotFound, "hold_not_found", "There is no such hold.")
	ErrTransactionNotFound     = apperr.New(apperr.NotFound, "transaction_not_found", "There is no such transaction.")
	ErrInsufficientCredits     = apperr.New(apperr.InsufficientCredits, "insufficient_credits", "The account has fewer credits available than this needs.")
	ErrBalanceLimitExceeded    = apperr.New(apperr.Conflict, "balance_limit_exceeded", "The balance would pass the limit of 9007199254740991.")
	ErrHoldNotActive           = apperr.New(apperr.Conflict, "hold_not_active", "The hold was captured, voided or has expired.")
	ErrGrantNotActive          = apperr.New(apperr.Conflict, "grant_not_active", "Nothing of the grant is left that could be revoked.")
	ErrAlreadyReversed         = apperr.New(apperr.Conflict, "already_reversed", "The transaction was reversed in full.")
	ErrCaptureExceedsHold      = apperr.New(apperr.Invalid, "capture_exceeds_hold", "The amount is larger than what is left of the hold.")
	ErrReversalExceedsOriginal = apperr.New(apperr.Invalid, "reversal_exceeds_original", "The amount is larger than what is left of the transaction to reverse.")
	ErrNotReversible           = apperr.New(apperr.Invalid, "not_reversible", "Only debits, captures and grants can be reversed.")
	ErrSameAccount             = apperr.New(apperr.Invalid, "same_account", "A transfer needs two users.")
	ErrAmountOutOfRange        = apperr.InvalidField("/amount", "must be from 1 to 9007199254740991")
	ErrExpiryInThePast         = apperr.InvalidField("/expires_at", "must lie in the future")
	ErrExpiresInOutOfRange     = apperr.InvalidField("/expires_in", "must be from 1 to 31536000")
	ErrInTheFuture             = apperr.InvalidField("/query/at", "must not lie in the future")
	ErrKeyReused               = apperr.New(apperr.Invalid, "idempotency_key_reused", "This Idempotency-Key was used for another request.")
)

// checkAmount is the last word on amounts, whoever calls: a negative debit would make credits.
func checkAmount(amount int64) error {
	if amount < 1 || amount > MaxBalance {
		return ErrAmountOutOfRange
	}
	return nil
}

// Options are what a ledger is told of the world. The zero value is a ledger
// that tells nobody anything.
type Options struct {
	// Now is the clock; nil for time.Now.
	Now func() time.Time
	// LowBalance is the balance, in the smallest unit, below which a user is
	// told so; 0 for never.
	LowBalance int64
	// Notify is called in the transaction of a posting, with what users are to be
	// told of it; nil for nobody.
	Notify func(context.Context, pgx.Tx, []Notice) error
	// Observe is called after each batch; nil for nobody.
	Observe func(context.Context, BatchStats)
	// Reads is the database for lists and statements, which may be a little late;
	// nil for the pool.
	Reads dbgen.DBTX
	// Together hears of each batch; nil for nobody.
	Together pgdb.Together
	// Log gets a line for each transaction and each change of a hold, with the
	// context of whoever asked for it; nil for none.
	Log *slog.Logger
}

// Notice is something that a user may want to know of a posting.
type Notice struct {
	UserID  uuid.UUID
	Granted int64 // what a grant brought, 0 for none
	Balance int64 // after it
	Low     bool  // it fell below Options.LowBalance
}

// Ledger is the credits of all users. Its methods may be called concurrently,
// in several processes on one database.
type Ledger struct {
	pool   *pgxpool.Pool
	reads  dbgen.DBTX // which may be late
	q      *dbgen.Queries
	o      Options
	now    func() time.Time
	poster poster
}

// New returns a ledger on a migrated database.
func New(pool *pgxpool.Pool, o Options) *Ledger {
	l := &Ledger{pool: pool, reads: o.Reads, q: dbgen.New(), o: o, now: o.Now}
	if l.reads == nil {
		l.reads = pool
	}
	if l.now == nil {
		l.now = time.Now
	}
	l.poster = newPoster(l.postBatch)
	return l
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
	err := errors.Join(l.q.CreditTransactionNoteDeleteOfUser(ctx, tx, userID), l.q.CreditHoldNoteDeleteOfUser(ctx, tx, userID))
	if err != nil {
		return fmt.Errorf("erasing the text of transactions and holds: %w", err)
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

// expirePage is how many accounts are looked at in one go.
const expirePage = 200

// ExpireDue closes holds and grants that are over. Postings do so by
// themselves before they decide anything, and reads leave out what is over: this
// makes it visible in the history of accounts where nothing else happens. It may
// run at any time, on several replicas.
func (l *Ledger) ExpireDue(ctx context.Context) error {
	for after := uuid.Nil; ; {
		now := l.clock()
		due, err := l.q.CreditAccountListDue(ctx, l.pool, dbgen.CreditAccountListDueParams{Now: &now, After: after, PageSize: expirePage})
		if err != nil || len(due) == 0 {
			return pgdb.Classify(err)
		}
		errs := make([]error, len(due))
		var all sync.WaitGroup
		for i, userID := range due { // at once, so that they are committed together
			all.Go(func() {
				op := &operation{accounts: []uuid.UUID{userID}, decide: func(*desk, *Request) (outcome, error) { return outcome{}, nil }}
				_, errs[i] = l.post(ctx, op)
			})
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		after = due[len(due)-1]
	}
}

// clock tells the time as PostgreSQL keeps it, in microseconds, so that what is
// answered now and what is read later are the same.
func (l *Ledger) clock() time.Time { return l.now().UTC().Truncate(time.Microsecond) }
