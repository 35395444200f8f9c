package creditledger

import (
	"context"

	"github.com/google/uuid"
)

// RevokeGrant takes back what is left of a grant and not held. What is held is
// the hold's; what it lets go of later is taken back then. Errors:
// ErrGrantNotFound, ErrGrantNotActive, ErrKeyReused.
func (l *Ledger) RevokeGrant(ctx context.Context, r Request, grantID uuid.UUID) (Receipt, error) {
	userID, err := owner(ctx, l, l.q.CreditGrantOwner, grantID)
	if err != nil {
		return Receipt{}, err
	}
	op := &operation{Request: r, decide: func(*desk, *Request) (outcome, error) { return outcome{}, ErrGrantNotFound }}
	if userID != uuid.Nil {
		op.accounts = []uuid.UUID{userID}
		op.grants = []named{{userID, grantID}}
		op.decide = func(d *desk, r *Request) (outcome, error) {
			a, err := d.account(userID)
			if err != nil {
				return outcome{}, ErrGrantNotFound // the account of a deleted user
			}
			t, err := a.revoke(a.byID[grantID], r)
			return outcome{transaction: t}, err
		}
	}
	return l.postReceipt(ctx, op)
}

func (a *account) revoke(l *lot, r *Request) (*Transaction, error) {
	amount := l.free()
	if amount == 0 || l.closed(a.now) {
		return nil, ErrGrantNotActive
	}
	at := a.now
	l.revokedAt, l.changed = &at, true
	l.remaining -= amount
	t := r.transaction(nil, Note{})
	t.Type, t.Amount, t.GrantID, t.Burned = TypeRevocation, -amount, &l.id, []Burn{{l.id, amount}}
	a.append(t)
	return t, nil
}
