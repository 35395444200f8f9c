package creditledger

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// DefaultPriority is that of grants which name none.
const DefaultPriority = 50

// GrantParams is a grant to be made.
type GrantParams struct {
	UserID    uuid.UUID
	Amount    int64      // 1 … MaxBalance
	ExpiresAt *time.Time // nil for never; must lie in the future
	Priority  int16      // 0 … 100; lower burns first
	Reference *string
	Note      Note
}

// Grant adds credits. Errors: ErrUserNotFound, ErrBalanceLimitExceeded,
// ErrExpiryInThePast, ErrAmountOutOfRange, ErrKeyReused.
func (l *Ledger) Grant(ctx context.Context, r Request, g GrantParams) (Receipt, error) {
	return l.postOne(ctx, r, g)
}

func (g GrantParams) accounts() []uuid.UUID { return []uuid.UUID{g.UserID} }

func (g GrantParams) check() error { return checkAmount(g.Amount) }

func (g GrantParams) apply(d *desk, r *Request) ([]*Transaction, error) {
	a, err := d.account(g.UserID)
	if err != nil {
		return nil, err
	}
	made := &lot{id: a.newID(), amount: g.Amount, priority: g.Priority}
	if g.ExpiresAt != nil {
		at := g.ExpiresAt.UTC().Truncate(time.Microsecond)
		made.expiresAt = &at
	}
	t := r.transaction(g.Reference, g.Note)
	if err := a.grant(t, made); err != nil {
		return nil, err
	}
	return []*Transaction{t}, nil
}

// grant adds a lot.
func (a *account) grant(t *Transaction, l *lot) error {
	if l.due(a.now) {
		return ErrExpiryInThePast
	}
	if err := a.room(l.amount); err != nil {
		return err
	}
	t.Type, t.Amount, t.GrantID = TypeGrant, l.amount, &l.id
	a.add(t, l)
	a.append(t)
	return nil
}
