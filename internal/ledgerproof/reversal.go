package ledgerproof

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/dbgen"
)

// original is a transaction that is undone, with everything that undoes it.
type original struct {
	dbgen.LedgerProofTransactionListNamedRow
	reversals []dbgen.LedgerProofReversalListRow // in the order of their numbers
}

// readOriginals finds what the reversals of a page undo.
func readOriginals(ctx context.Context, r reader, page []transaction) error {
	var named dbgen.LedgerProofReversalListParams
	for i := range page {
		if page[i].ReversesID != nil {
			named.UserIds, named.Ids = append(named.UserIds, page[i].UserID), append(named.Ids, *page[i].ReversesID)
		}
	}
	if len(named.Ids) == 0 {
		return nil
	}
	rows, err := r.LedgerProofTransactionListNamed(ctx, r.db, named.Ids)
	if err != nil {
		return err
	}
	reversals, err := r.LedgerProofReversalList(ctx, r.db, named)
	if err != nil {
		return err
	}
	originals := make(map[uuid.UUID]*original, len(rows))
	for _, row := range rows {
		originals[row.ID] = &original{LedgerProofTransactionListNamedRow: row}
	}
	for _, row := range reversals {
		if o := originals[*row.ReversesID]; o != nil {
			o.reversals = append(o.reversals, row)
		}
	}
	for i := range page {
		if page[i].ReversesID != nil {
			page[i].original = originals[*page[i].ReversesID]
		}
	}
	return nil
}

// reverse undoes some of what an earlier transaction did: credits go back to
// the grants they came from, to the one burned last first; a grant gives up what
// is free of it.
func (a *account) reverse(t *transaction) error {
	o := t.original
	if o == nil || o.UserID != t.UserID || o.Sequence >= t.Sequence {
		return t.broken("it undoes transaction %s, which did not happen in this account before", *t.ReversesID)
	}
	switch creditledger.TransactionType(o.Type) {
	case creditledger.TypeDebit, creditledger.TypeCapture:
		return a.giveBack(t, o)
	case creditledger.TypeGrant:
		return a.takeBack(t, o)
	default:
		return t.broken("it undoes transaction %d, a %s, which cannot be undone", o.Sequence, o.Type)
	}
}

func (a *account) giveBack(t *transaction, o *original) error {
	taken := o.left(t.Sequence)
	var left int64
	for _, b := range taken {
		left += b.Amount
	}
	if t.Amount < 1 || t.Amount > left {
		return t.broken("it gives back %d, but only %d of transaction %d are left to undo", t.Amount, left, o.Sequence)
	}
	var want []creditledger.Burn
	for i, amount := len(taken)-1, t.Amount; amount > 0; i-- {
		part := min(amount, taken[i].Amount)
		amount -= part
		if part > 0 {
			want = append(want, creditledger.Burn{GrantID: taken[i].GrantID, Amount: -part})
		}
	}
	if want = joined(want); !slices.Equal(joined(t.burned), want) {
		return t.broken("it gave back %s, but should have given back %s", list(negative(t.burned)), list(negative(want)))
	}
	for _, b := range want {
		l, err := a.lot(t, b.GrantID)
		if err != nil {
			return err
		}
		l.remaining -= b.Amount // negative; never more than was taken
		a.lots.changed(l)
	}
	return a.move(&t.record, t.Amount)
}

func (a *account) takeBack(t *transaction, o *original) error {
	left := o.Amount
	for _, b := range o.reversed(t.Sequence) {
		left -= b.Amount
	}
	l := a.lots.byID[*o.GrantID]
	switch {
	case -t.Amount < 1 || -t.Amount > left:
		return t.broken("it takes back %d, but only %d of transaction %d are left to undo", -t.Amount, left, o.Sequence)
	case l == nil || l.free() < -t.Amount:
		return t.broken("it takes back %d, but less than that was free of grant %s", -t.Amount, *o.GrantID)
	}
	return a.empty(t, l, -t.Amount)
}

// left is what the original took from which grants, less what was given back
// before the transaction with the number. All of that was done again by then, and
// so can be read.
func (o *original) left(sequence int64) []creditledger.Burn {
	taken, _ := burnsFrom(o.Burned)
	for _, b := range o.reversed(sequence) {
		rest := -b.Amount
		for i := len(taken) - 1; i >= 0; i-- { // a capture may have burned a grant more than once
			if taken[i].GrantID == b.GrantID {
				part := min(rest, taken[i].Amount)
				taken[i].Amount -= part
				rest -= part
			}
		}
	}
	return taken
}

// reversed is what reversals before the transaction with the number burned.
func (o *original) reversed(sequence int64) (burned []creditledger.Burn) {
	for _, r := range o.reversals {
		if r.Sequence < sequence {
			burns, _ := burnsFrom(r.Burned)
			burned = append(burned, burns...)
		}
	}
	return burned
}

// lot finds a lot, which may have been forgotten because it was empty and what
// it is in the end.
func (a *account) lot(t *transaction, id uuid.UUID) (*lot, error) {
	if l := a.lots.byID[id]; l != nil {
		return l, nil
	}
	var rows []dbgen.CreditGrant
	err := a.s.ask("grants", func(ctx context.Context, r reader) (err error) {
		rows, err = r.LedgerProofGrantListNamed(ctx, r.db, dbgen.LedgerProofGrantListNamedParams{UserIds: []uuid.UUID{a.row.UserID}, Ids: []uuid.UUID{id}})
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || rows[0].Sequence >= t.Sequence {
		return nil, t.broken("grant %s, to which it gives back, does not exist", id)
	}
	g := &rows[0]
	return &lot{grant: g, remaining: g.Remaining, held: g.Held, expired: g.Expired, revokedAt: g.RevokedAt}, nil
}
