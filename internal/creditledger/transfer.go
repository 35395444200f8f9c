package creditledger

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// TransferParams is a transfer to be made.
type TransferParams struct {
	FromUserID uuid.UUID
	ToUserID   uuid.UUID
	Amount     int64 // 1 … MaxBalance
	Reference  *string
	Note       Note
}

// TransferReceipt is both halves of a transfer.
type TransferReceipt struct {
	Debit    Transaction // of the sender
	Credit   Transaction // of the receiver
	Replayed bool
}

// Transfer moves credits from one user to another. They keep their terms: each
// priority and expiry among what was taken makes a grant of its own. Errors:
// ErrUserNotFound, ErrSameAccount, ErrInsufficientCredits,
// ErrBalanceLimitExceeded, ErrAmountOutOfRange, ErrKeyReused.
func (l *Ledger) Transfer(ctx context.Context, r Request, t TransferParams) (TransferReceipt, error) {
	if err := t.check(); err != nil {
		return TransferReceipt{}, err
	}
	op := &operation{Request: r, accounts: t.accounts(), decide: func(d *desk, r *Request) (outcome, error) {
		halves, err := t.apply(d, r)
		return outcome{parts: []part{{made: halves}}}, err
	}}
	o, err := l.post(ctx, op)
	if err != nil {
		return TransferReceipt{}, err
	}
	made := o.parts[0].made
	return TransferReceipt{Debit: *made[0], Credit: *made[1], Replayed: o.replayed}, nil
}

func (t TransferParams) accounts() []uuid.UUID { return []uuid.UUID{t.FromUserID, t.ToUserID} }

func (t TransferParams) check() error {
	if t.FromUserID == t.ToUserID {
		return ErrSameAccount
	}
	return checkAmount(t.Amount)
}

func (t TransferParams) apply(d *desk, r *Request) ([]*Transaction, error) {
	from, err := d.account(t.FromUserID)
	if err != nil {
		return nil, err
	}
	to, err := d.account(t.ToUserID)
	if err != nil {
		return nil, err
	}
	if _, err := from.affordable(t.Amount, false); err != nil {
		return nil, err
	}
	if err := to.room(t.Amount); err != nil {
		return nil, err
	}
	id := from.newID()
	out, in := r.transaction(t.Reference, t.Note), r.transaction(t.Reference, t.Note)
	out.Type, out.TransferID = TypeTransferOut, &id
	if err := from.spend(out, t.Amount); err != nil {
		return nil, err
	}
	in.Type, in.TransferID, in.Amount = TypeTransferIn, &id, t.Amount
	for _, made := range to.sameTerms(from, out.Burned) {
		to.add(in, made)
		in.Burned = append(in.Burned, Burn{made.id, -made.amount})
	}
	to.append(in)
	return []*Transaction{out, in}, nil
}

// sameTerms makes a lot for each priority and expiry among what was burned of
// another account, in the order burned.
func (a *account) sameTerms(other *account, burned []Burn) (lots []*lot) {
	type terms struct {
		priority int16
		expires  time.Time
	}
	made := map[terms]*lot{}
	for _, b := range burned {
		from := other.byID[b.GrantID]
		key := terms{priority: from.priority}
		if from.expiresAt != nil {
			key.expires = *from.expiresAt
		}
		l := made[key]
		if l == nil {
			l = &lot{id: a.newID(), priority: from.priority, expiresAt: from.expiresAt, part: int16(len(lots))} //nolint:gosec // below
			made[key] = l
			lots = append(lots, l)
		}
		l.amount += b.Amount
	}
	return lots
}
