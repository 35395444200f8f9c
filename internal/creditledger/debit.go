package creditledger

import (
	"context"

	"github.com/google/uuid"
)

// DebitParams is a debit to be made.
type DebitParams struct {
	UserID       uuid.UUID
	Amount       int64 // 1 … MaxBalance
	AllowPartial bool  // take what is there, but at least 1
	Reference    *string
	Note         Note
}

// Debit takes credits. Errors: ErrUserNotFound, ErrInsufficientCredits,
// ErrAmountOutOfRange, ErrKeyReused.
func (l *Ledger) Debit(ctx context.Context, r Request, d DebitParams) (Receipt, error) {
	if !validAmount(d.Amount) {
		return Receipt{}, ErrAmountOutOfRange
	}
	return l.post(ctx, r, d.UserID, func(ctx context.Context, p *posting) (*Transaction, error) {
		amount, err := p.affordable(d.Amount, d.AllowPartial)
		if err != nil {
			return nil, err
		}
		lots, err := p.lotsFor(ctx, amount)
		if err != nil {
			return nil, err
		}
		t := r.transaction(d.Reference, d.Note)
		p.debit(t, amount, lots)
		return t, nil
	})
}
