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
	if !validAmount(g.Amount) {
		return Receipt{}, ErrAmountOutOfRange
	}
	return l.post(ctx, r, g.UserID, func(_ context.Context, p *posting) (*Transaction, error) {
		added := &lot{id: uuid.Must(uuid.NewV7()), amount: g.Amount, priority: g.Priority}
		if g.ExpiresAt != nil {
			at := g.ExpiresAt.UTC().Truncate(time.Microsecond)
			added.expiresAt = &at
		}
		t := r.transaction(g.Reference, g.Note)
		return t, p.grant(t, added)
	})
}
