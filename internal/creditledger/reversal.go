package creditledger

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/dbgen"
)

// ReversalParams is what is undone of a transaction.
type ReversalParams struct {
	Amount      *int64 // 1 … MaxBalance; nil for all that is left to undo
	Description *string
}

// Reverse undoes a debit, a capture or a grant, in whole or in part. Credits go
// back to the grants they came from, to the one burned last first, and what
// went back to a grant that is over by then is over too; a grant gives up what
// is left of it. Errors: ErrTransactionNotFound, ErrNotReversible,
// ErrAlreadyReversed, ErrReversalExceedsOriginal, ErrInsufficientCredits,
// ErrBalanceLimitExceeded, ErrAmountOutOfRange, ErrKeyReused.
func (l *Ledger) Reverse(ctx context.Context, r Request, transactionID uuid.UUID, p ReversalParams) (Receipt, error) {
	if p.Amount != nil {
		if err := checkAmount(*p.Amount); err != nil {
			return Receipt{}, err
		}
	}
	userID, err := owner(ctx, l, l.q.CreditTransactionOwner, transactionID)
	if err != nil {
		return Receipt{}, err
	}
	op := &operation{Request: r, decide: func(*desk, *Request) (outcome, error) { return outcome{}, ErrTransactionNotFound }}
	if userID != uuid.Nil {
		op.accounts = []uuid.UUID{userID}
		op.originals = []named{{userID, transactionID}}
		op.decide = func(d *desk, r *Request) (outcome, error) {
			a, err := d.account(userID)
			if err != nil {
				return outcome{}, ErrTransactionNotFound // the account of a deleted user
			}
			t, err := a.reverse(d.originals[transactionID], p, r)
			return outcome{transaction: t}, err
		}
	}
	return l.postReceipt(ctx, op)
}

// original is a transaction that is to be undone.
type original struct {
	userID uuid.UUID
	id     uuid.UUID
	kind   TransactionType
	// taken is what it took from which lots, in the order taken, less what was
	// given back since; of a grant, what it gave to its lot, less what was taken back.
	taken []Burn
}

// left is what can still be undone.
func (o *original) left() (sum int64) {
	for _, b := range o.taken {
		sum += b.Amount
	}
	return sum
}

// originalFrom reads a transaction and its reversals so far, one row each.
func originalFrom(rows []dbgen.CreditTransactionListOriginalsRow) (*original, error) {
	first := rows[0]
	o := &original{userID: first.UserID, id: first.ID, kind: TransactionType(first.Type)}
	var err error
	if o.taken, err = burnsFrom(first.Burned); err != nil {
		return nil, fmt.Errorf("reading what transaction %s burned: %w", first.ID, err)
	}
	if o.kind == TypeGrant {
		o.taken = []Burn{{*first.GrantID, first.Amount}}
	}
	for _, row := range rows {
		if row.Returned == nil {
			continue
		}
		returned, err := burnsFrom(row.Returned)
		if err != nil {
			return nil, fmt.Errorf("reading a reversal of transaction %s: %w", first.ID, err)
		}
		o.returned(returned)
	}
	return o, nil
}

// returned takes a reversal into account.
func (o *original) returned(burned []Burn) {
	for _, b := range burned {
		rest := max(b.Amount, -b.Amount)
		for i := len(o.taken) - 1; i >= 0; i-- { // a capture may have burned a grant more than once
			if o.taken[i].GrantID == b.GrantID {
				part := min(rest, o.taken[i].Amount)
				o.taken[i].Amount -= part
				rest -= part
			}
		}
	}
}

// reverse undoes some of o.
func (a *account) reverse(o *original, p ReversalParams, r *Request) (*Transaction, error) {
	switch o.kind {
	case TypeDebit, TypeCapture, TypeGrant:
	default:
		return nil, ErrNotReversible
	}
	left := o.left()
	if left <= 0 {
		return nil, ErrAlreadyReversed
	}
	amount := left
	if p.Amount != nil {
		amount = *p.Amount
	}
	if amount > left {
		return nil, ErrReversalExceedsOriginal
	}
	t := r.transaction(nil, Note{Description: p.Description})
	t.Type, t.ReversesID = TypeReversal, &o.id
	if o.kind == TypeGrant {
		l := a.byID[o.taken[0].GrantID]
		if amount > l.free() {
			return nil, shortOf(amount, l.free())
		}
		l.remaining -= amount
		l.changed = true
		t.Amount, t.Burned = -amount, []Burn{{l.id, amount}}
	} else {
		if err := a.room(amount); err != nil {
			return nil, err
		}
		t.Amount, t.Burned = amount, a.giveBack(o.taken, amount)
	}
	a.append(t)
	o.returned(t.Burned)
	return t, nil
}

// giveBack puts amount back where it was taken, last taken first, as if less had been taken.
func (a *account) giveBack(taken []Burn, amount int64) (returned []Burn) {
	for i := len(taken) - 1; amount > 0; i-- {
		give := min(amount, taken[i].Amount)
		if give == 0 {
			continue
		}
		l := a.byID[taken[i].GrantID]
		l.remaining += give
		l.changed = true
		a.watch(l)
		amount -= give
		returned = append(returned, Burn{l.id, -give})
	}
	return returned
}
