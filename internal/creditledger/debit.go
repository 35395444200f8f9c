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
	return l.postOne(ctx, r, d)
}

func (p DebitParams) accounts() []uuid.UUID { return []uuid.UUID{p.UserID} }

func (p DebitParams) check() error { return checkAmount(p.Amount) }

func (p DebitParams) apply(d *desk, r *Request) ([]*Transaction, error) {
	a, err := d.account(p.UserID)
	if err != nil {
		return nil, err
	}
	t := r.transaction(p.Reference, p.Note)
	if err := a.debit(t, p.Amount, p.AllowPartial); err != nil {
		return nil, err
	}
	return []*Transaction{t}, nil
}

// debit spends amount.
func (a *account) debit(t *Transaction, amount int64, partial bool) error {
	amount, err := a.affordable(amount, partial)
	if err != nil {
		return err
	}
	t.Type = TypeDebit
	return a.spend(t, amount)
}
