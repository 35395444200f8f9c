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

// Balance returns a user's balance now. What is due is left out, as the next
// posting will take it out. Errors: ErrUserNotFound.
func (l *Ledger) Balance(ctx context.Context, userID uuid.UUID) (Balance, error) {
	now := l.clock()
	row, err := l.q.CreditBalanceGet(ctx, l.pool, dbgen.CreditBalanceGetParams{UserID: userID, Now: &now})
	if pgdb.NoRows(err) {
		return Balance{}, ErrUserNotFound
	}
	if err != nil {
		return Balance{}, pgdb.Classify(err)
	}
	b := Balance{
		UserID: row.UserID, Balance: row.Balance - row.Due, Held: row.Held - row.Released,
		Sequence: row.Sequence, UpdatedAt: row.UpdatedAt,
	}
	if row.NextExpiresAt != nil {
		b.NextExpiry = &Expiry{Amount: row.NextExpiryAmount, At: *row.NextExpiresAt}
	}
	return b, nil
}

// BalanceAt returns what Balance returned at a past moment, but for NextExpiry.
// Errors: ErrUserNotFound, ErrInTheFuture.
func (l *Ledger) BalanceAt(ctx context.Context, userID uuid.UUID, at time.Time) (Balance, error) {
	if at = at.UTC().Truncate(time.Microsecond); at.After(l.clock()) {
		return Balance{}, ErrInTheFuture
	}
	row, err := l.q.CreditBalanceAt(ctx, l.pool, dbgen.CreditBalanceAtParams{UserID: userID, At: at})
	if pgdb.NoRows(err) {
		return Balance{}, ErrUserNotFound
	}
	if err != nil {
		return Balance{}, pgdb.Classify(err)
	}
	return Balance{
		UserID: userID, Balance: row.Balance - row.Due, Held: row.Held - row.Released,
		Sequence: row.Sequence, UpdatedAt: row.UpdatedAt,
	}, nil
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
	p := dbgen.CreditTransactionListParams{
		UserID: userID, Before: math.MaxInt64, Type: f.Type, Reference: f.Reference, PageSize: int32(f.Limit) + 1, //nolint:gosec // at most 200
	}
	if f.Before > 0 {
		p.Before = f.Before
	}
	if f.From != nil {
		if p.After, err = l.sequenceBefore(ctx, userID, *f.From); err != nil {
			return nil, false, err
		}
	}
	if f.To != nil {
		end, err := l.sequenceBefore(ctx, userID, *f.To)
		if err != nil {
			return nil, false, err
		}
		p.Before = min(p.Before, end+1)
	}
	rows, err := l.q.CreditTransactionList(ctx, pgdb.Planned{DBTX: l.reads}, p)
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

// sequenceBefore is the number of the newest transaction before a moment.
func (l *Ledger) sequenceBefore(ctx context.Context, userID uuid.UUID, at time.Time) (int64, error) {
	// Times are kept in microseconds: rounded up, none lies between.
	last := at.UTC().Add(time.Microsecond - time.Nanosecond).Truncate(time.Microsecond).Add(-time.Microsecond)
	sequence, err := l.q.CreditTransactionSequenceAt(ctx, l.pool, dbgen.CreditTransactionSequenceAtParams{UserID: userID, At: last})
	return sequence, pgdb.Classify(err)
}

// AllTransactionsFilter chooses transactions of all users; nil fields choose all.
type AllTransactionsFilter struct {
	Type      *string
	Reference *string
	From      *time.Time // made at this moment or later
	To        *time.Time // made before this moment
	Before    uuid.UUID  // ids below this one; uuid.Max for all
	Limit     int
}

// AllTransactions lists the transactions of all users, newest first; more says
// that there are older ones.
func (l *Ledger) AllTransactions(ctx context.Context, f AllTransactionsFilter) (page []Transaction, more bool, err error) {
	p := dbgen.CreditTransactionListAllParams{Before: f.Before, Type: f.Type, Reference: f.Reference, PageSize: int32(f.Limit) + 1} //nolint:gosec // at most 200
	// Ids are made of the times of transactions.
	if f.From != nil {
		p.NotBefore = pgdb.IDAt(f.From.Add(time.Microsecond-time.Nanosecond), uuid.Nil)
	}
	if f.To != nil {
		if end := pgdb.IDAt(f.To.Add(time.Microsecond-time.Nanosecond), uuid.Nil); compareIDs(end, p.Before) < 0 {
			p.Before = end
		}
	}
	rows, err := l.q.CreditTransactionListAll(ctx, pgdb.Planned{DBTX: l.reads}, p)
	if err != nil {
		return nil, false, pgdb.Classify(err)
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
	Part          int16 // counts the grants that it made
	Reference     *string
	CreatedAt     time.Time
}

// GrantPlace is a grant's place in a list; the zero value is before the newest.
type GrantPlace struct {
	Sequence int64
	Part     int16
}

// Place is where the grant stands in a list.
func (g Grant) Place() GrantPlace { return GrantPlace{g.Sequence, g.Part} }

// Grants lists a user's grants behind a place, newest first; more says that
// there are older ones. Errors: ErrUserNotFound.
func (l *Ledger) Grants(ctx context.Context, userID uuid.UUID, before GrantPlace, limit int) (page []Grant, more bool, err error) {
	if before == (GrantPlace{}) {
		before.Sequence = math.MaxInt64
	}
	now := l.clock()
	rows, err := l.q.CreditGrantList(ctx, l.reads, dbgen.CreditGrantListParams{
		UserID: userID, Before: before.Sequence, BeforePart: before.Part, Now: now, PageSize: int32(limit) + 1, //nolint:gosec // at most 200
	})
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
	l := lotFrom(row.CreditGrant)
	l.held -= row.Released
	g := Grant{
		ID: l.id, UserID: row.CreditGrant.UserID, Amount: l.amount, Held: l.held, Priority: l.priority, ExpiresAt: l.expiresAt,
		TransactionID: row.TransactionID, Sequence: l.sequence, Part: l.part, Reference: row.Reference, CreatedAt: l.createdAt,
	}
	switch {
	case l.revokedAt != nil:
		g.Status = GrantRevoked
	case l.expired > 0, l.due(now) && l.remaining > 0:
		g.Status = GrantExpired
	case l.remaining == 0:
		g.Status = GrantDepleted
	default:
		g.Status = GrantActive
	}
	if g.Remaining = l.remaining; l.closed(now) {
		g.Remaining = l.held // the rest is gone, whether or not a posting has taken it out
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
