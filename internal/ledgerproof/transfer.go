package ledgerproof

import (
	"context"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/dbgen"
)

// half is one of the two transactions of a transfer.
type half struct {
	dbgen.LedgerProofTransferListRow
	// burned is what it took from which grants, and those grants; of the sender only.
	burned []creditledger.Burn
	grants map[uuid.UUID]*dbgen.CreditGrant
}

// readHalves finds the other halves of the transfers of a page.
func readHalves(ctx context.Context, r reader, page []transaction) error {
	var ids []uuid.UUID
	for i := range page {
		if page[i].TransferID != nil {
			ids = append(ids, *page[i].TransferID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := r.LedgerProofTransferList(ctx, r.db, ids)
	if err != nil {
		return err
	}
	// Whose terms the receiver's grants must have.
	var named dbgen.LedgerProofGrantListNamedParams
	halves := make(map[uuid.UUID][]half, len(ids))
	for _, row := range rows {
		h := half{LedgerProofTransferListRow: row, grants: map[uuid.UUID]*dbgen.CreditGrant{}}
		if row.Type == string(creditledger.TypeTransferOut) {
			h.burned, _ = burnsFrom(row.Burned)
			for _, b := range h.burned {
				named.UserIds, named.Ids = append(named.UserIds, row.UserID), append(named.Ids, b.GrantID)
			}
		}
		halves[*row.TransferID] = append(halves[*row.TransferID], h)
	}
	grants, err := r.LedgerProofGrantListNamed(ctx, r.db, named)
	if err != nil {
		return err
	}
	byID := make(map[[2]uuid.UUID]*dbgen.CreditGrant, len(grants))
	for i := range grants {
		byID[[2]uuid.UUID{grants[i].UserID, grants[i].ID}] = &grants[i]
	}
	for _, all := range halves {
		for _, h := range all {
			for _, b := range h.burned {
				h.grants[b.GrantID] = byID[[2]uuid.UUID{h.UserID, b.GrantID}]
			}
		}
	}
	for i := range page {
		if id := page[i].TransferID; id != nil {
			page[i].halves = halves[*id]
		}
	}
	return nil
}

// otherHalf finds the other half of a transfer, in another account.
func (a *account) otherHalf(t *transaction, kind creditledger.TransactionType) (*half, error) {
	var other *half
	for i := range t.halves {
		if h := &t.halves[i]; h.UserID != t.UserID || h.Sequence != t.Sequence {
			other = h
		}
	}
	switch {
	case len(t.halves) != 2:
		return nil, t.broken("transfer %s consists of %d transactions, not of two", *t.TransferID, len(t.halves))
	case other.Type != string(kind) || other.UserID == t.UserID || other.Amount != -t.Amount:
		return nil, t.broken("the other half of transfer %s, transaction %d of account %s, is a %s of %d", *t.TransferID, other.Sequence, other.UserID, other.Type, other.Amount)
	case !sameID(other.ActorID, t.actorID) || other.ActorType != t.actorType || !sameText(other.IdempotencyKey, t.key) ||
		!sameText(other.Reference, t.reference) || other.Noted != (t.noteDigest != nil):
		return nil, t.broken("the other half of transfer %s, transaction %d of account %s, was asked for in another way", *t.TransferID, other.Sequence, other.UserID)
	}
	return other, nil
}

func (a *account) transferOut(t *transaction) error {
	_, err := a.otherHalf(t, creditledger.TypeTransferIn)
	return err
}

// transferIn makes grants of the terms of those that the sender gave from, in
// the order in which they burned.
func (a *account) transferIn(t *transaction) error {
	out, err := a.otherHalf(t, creditledger.TypeTransferOut)
	if err != nil {
		return err
	}
	var want []dbgen.CreditGrant
	for _, b := range out.burned {
		from := out.grants[b.GrantID]
		if from == nil {
			return t.broken("grant %s, from which the sender gave, does not exist", b.GrantID)
		}
		at := 0
		for at < len(want) && (want[at].Priority != from.Priority || !sameTime(want[at].ExpiresAt, from.ExpiresAt)) {
			at++
		}
		if at == len(want) {
			want = append(want, dbgen.CreditGrant{Priority: from.Priority, ExpiresAt: from.ExpiresAt})
		}
		want[at].Amount += b.Amount
	}
	if len(t.made) != len(want) || len(t.burned) != len(want) {
		return t.broken("it made %d grants of credits of %d different terms", len(t.made), len(want))
	}
	var sum int64
	for i, g := range t.made {
		if g.Amount != want[i].Amount || g.Priority != want[i].Priority || !sameTime(g.ExpiresAt, want[i].ExpiresAt) {
			return t.broken("grant %s has not the amount and the terms of what the sender gave", g.ID)
		}
		if t.burned[i] != (creditledger.Burn{GrantID: g.ID, Amount: -g.Amount}) {
			return t.broken("it says that it made %s, but part %d is grant %s of %d", list(negative(t.burned)), i, g.ID, g.Amount)
		}
		sum += g.Amount
	}
	if sum != t.Amount {
		return t.broken("it brought %d, but its grants are of %d together", t.Amount, sum)
	}
	return a.add(t)
}
