package creditledger

import (
	"context"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// Balance is an account at a moment.
type Balance struct {
	UserID     uuid.UUID
	Balance    int64
	Held       int64
	Sequence   int64
	NextExpiry *Expiry
	UpdatedAt  time.Time
}

// Available is what can be spent.
func (b Balance) Available() int64 { return b.Balance - b.Held }

// Expiry is what expires when.
type Expiry struct {
	Amount int64
	At     time.Time
}

// Balance returns a user's balance now. What is due to expire is left out, as
// the next posting will take it out. Errors: ErrUserNotFound.
func (l *Ledger) Balance(ctx context.Context, userID uuid.UUID) (Balance, error) {
	now := l.clock()
	row, err := l.q.CreditBalanceGet(ctx, l.pool, dbgen.CreditBalanceGetParams{UserID: userID, Now: &now})
	if pgdb.NoRows(err) {
		return Balance{}, ErrUserNotFound
	}
	if err != nil {
		return Balance{}, pgdb.Classify(err)
	}
	b := Balance{UserID: row.UserID, Balance: row.Balance - row.Due, Held: row.Held, Sequence: row.Sequence, UpdatedAt: row.UpdatedAt}
	if row.NextExpiresAt != nil {
		b.NextExpiry = &Expiry{Amount: row.NextExpiryAmount, At: *row.NextExpiresAt}
	}
	return b, nil
}

// TransactionFilter chooses transactions; nil fields choose all.
type TransactionFilter struct {
	Type      *string
	Reference *string
	From      *time.Time // made at this moment or later
	To        *time.Time // made before this moment
	Before    int64      // sequence numbers below this one; 0 for all
	Limit     int
}

// Transactions lists a user's transactions, newest first; more says that there
// are older ones. Errors: ErrUserNotFound.
func (l *Ledger) Transactions(ctx context.Context, userID uuid.UUID, f TransactionFilter) (page []Transaction, more bool, err error) {
	if f.Before == 0 {
		f.Before = math.MaxInt64
	}
	rows, err := l.q.CreditTransactionList(ctx, l.pool, dbgen.CreditTransactionListParams{
		UserID: userID, Before: f.Before, Type: f.Type, Reference: f.Reference, Since: f.From, Until: f.To, PageSize: int32(f.Limit) + 1, //nolint:gosec // at most 200
	})
	if err != nil {
		return nil, false, pgdb.Classify(err)
	}
	if len(rows) == 0 {
		return nil, false, l.exists(ctx, userID)
	}
	if more = len(rows) > f.Limit; more {
		rows = rows[:f.Limit]
	}
	page = make([]Transaction, len(rows))
	for i, row := range rows {
		if page[i], err = transactionFrom(row.CreditTransaction, row.Description, row.Metadata); err != nil {
			return nil, false, pgdb.Classify(err)
		}
	}
	return page, more, nil
}

// GrantStatus says whether credits of a grant can be spent.
type GrantStatus string

// The states of a grant.
const (
	GrantActive   GrantStatus = "active"
	GrantDepleted GrantStatus = "depleted"
	GrantExpired  GrantStatus = "expired"
	GrantRevoked  GrantStatus = "revoked"
)

// Grant is credits that came in together, and what is left of them.
type Grant struct {
	ID            uuid.UUID
	UserID        uuid.UUID
	Amount        int64
	Remaining     int64
	Held          int64
	Priority      int16
	ExpiresAt     *time.Time
	Status        GrantStatus
	TransactionID uuid.UUID
	Sequence      int64 // of that transaction
	Reference     *string
	CreatedAt     time.Time
}

// Grants lists a user's grants with sequence numbers below before (0 for all),
// newest first; more says that there are older ones. Errors: ErrUserNotFound.
func (l *Ledger) Grants(ctx context.Context, userID uuid.UUID, before int64, limit int) (page []Grant, more bool, err error) {
	if before == 0 {
		before = math.MaxInt64
	}
	now := l.clock()
	rows, err := l.q.CreditGrantList(ctx, l.pool, dbgen.CreditGrantListParams{UserID: userID, Before: before, PageSize: int32(limit) + 1}) //nolint:gosec // at most 200
	if err != nil {
		return nil, false, pgdb.Classify(err)
	}
	if len(rows) == 0 {
		return nil, false, l.exists(ctx, userID)
	}
	if more = len(rows) > limit; more {
		rows = rows[:limit]
	}
	page = make([]Grant, len(rows))
	for i, row := range rows {
		page[i] = grantFrom(row, now)
	}
	return page, more, nil
}

func grantFrom(row dbgen.CreditGrantListRow, now time.Time) Grant {
	g := Grant{
		ID: row.CreditGrant.ID, UserID: row.CreditGrant.UserID, Amount: row.CreditGrant.Amount,
		Remaining: row.CreditGrant.Remaining, Held: row.CreditGrant.Held, Priority: row.CreditGrant.Priority,
		ExpiresAt: row.CreditGrant.ExpiresAt, TransactionID: row.TransactionID, Sequence: row.CreditGrant.Sequence, Reference: row.Reference,
		CreatedAt: row.CreditGrant.CreatedAt,
	}
	due := g.ExpiresAt != nil && !g.ExpiresAt.After(now)
	switch {
	case row.CreditGrant.RevokedAt != nil:
		g.Status = GrantRevoked
	case row.CreditGrant.Expired > 0, due && g.Remaining > 0:
		g.Status = GrantExpired
	case g.Remaining == 0:
		g.Status = GrantDepleted
	default:
		g.Status = GrantActive
	}
	if due {
		g.Remaining = g.Held // the rest is gone, whether or not a posting has taken it out
	}
	return g
}

func (l *Ledger) exists(ctx context.Context, userID uuid.UUID) error {
	found, err := l.q.CreditAccountExists(ctx, l.pool, userID)
	if err == nil && !found {
		return ErrUserNotFound
	}
	return pgdb.Classify(err)
}
