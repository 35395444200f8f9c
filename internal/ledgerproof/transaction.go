package ledgerproof

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// transaction is a transaction, beside what it has to do with.
type transaction struct {
	dbgen.LedgerProofTransactionListRow
	record
	burned   []creditledger.Burn
	readable bool              // whether burned is what the column says
	note     creditledger.Note // unless it was erased
	// Of a reversal.
	original *original
	// Of a transfer.
	halves []half
	// The grants that it made, in the order of their parts.
	made []*dbgen.CreditGrant
}

func (t transaction) owner() uuid.UUID { return t.UserID }

func readTransactions(ctx context.Context, r reader, after transaction) ([]transaction, error) {
	rows, err := r.LedgerProofTransactionList(ctx, r.db, dbgen.LedgerProofTransactionListParams{UserID: after.UserID, Sequence: after.Sequence, PageSize: r.size})
	if err != nil {
		return nil, err
	}
	page := make([]transaction, len(rows))
	for i := range rows {
		row := &rows[i]
		t := transaction{LedgerProofTransactionListRow: *row, record: record{
			what: "transaction", number: row.Sequence, kind: row.Type, userID: row.UserID, at: row.CreatedAt,
			actorType: row.ActorType, actorID: row.ActorID, reference: row.Reference, noteDigest: row.NoteDigest, key: row.IdempotencyKey,
		}}
		t.burned, t.readable = burnsFrom(t.Burned)
		page[i] = t
	}
	if err := readOriginals(ctx, r, page); err != nil {
		return nil, err
	}
	return page, readHalves(ctx, r, page)
}

// transaction does a transaction again.
func (a *account) transaction(t *transaction) error {
	if t.Sequence != a.sequence+1 {
		return a.broken(transactionName(a.sequence+1), "it is missing; the next one has the number %d", t.Sequence)
	}
	a.sequence++
	if !t.readable {
		return t.broken("what it burned cannot be read")
	}
	if err := a.comesAfter(&t.record); err != nil {
		return err
	}
	if err := a.readMade(t); err != nil {
		return err
	}
	if err := a.keyOfTransaction(t); err != nil {
		return err
	}
	if err := a.chain(&t.record, t.rehash(a.head), t.Hash); err != nil {
		return err
	}
	if err := a.readNote(t); err != nil {
		return err
	}
	if t.ID != pgdb.IDAt(t.CreatedAt, t.ID) {
		return t.broken("its id %s is not one of its time", t.ID)
	}
	if t.Amount == 0 || t.Amount < -creditledger.MaxBalance || t.Amount > creditledger.MaxBalance {
		return t.broken("its amount %d is out of range", t.Amount)
	}
	if !t.fieldsFit() {
		return t.broken("it names a hold, a grant, a transaction or a transfer that its type does not, or lacks one")
	}
	if err := a.applyTransaction(t); err != nil {
		return err
	}
	if t.BalanceAfter != a.balance {
		return t.broken("it says that the balance is %d after it, but it is %d", t.BalanceAfter, a.balance)
	}
	a.last = t.at
	a.totals.add(t)
	if a.report.Transactions++; a.report.Transactions%pageSize == 0 {
		a.tell()
	}
	return nil
}

func (t *transaction) rehash(previous [32]byte) [32]byte {
	row := &creditledger.TransactionRow{
		Transaction: creditledger.Transaction{
			UserID: t.UserID, Sequence: t.Sequence, ID: t.ID, Type: creditledger.TransactionType(t.Type),
			Amount: t.Amount, BalanceAfter: t.BalanceAfter, Reference: t.Reference,
			HoldID: t.HoldID, ReversesID: t.ReversesID, GrantID: t.GrantID, TransferID: t.TransferID,
			Burned: t.burned, Actor: actor(t.ActorType, t.ActorID), IdempotencyKey: t.IdempotencyKey, CreatedAt: t.CreatedAt,
		},
		NoteDigest: t.NoteDigest, Fingerprint: t.fingerprint,
	}
	for _, g := range t.made {
		row.Made = append(row.Made, creditledger.Terms{Priority: g.Priority, ExpiresAt: g.ExpiresAt})
	}
	return creditledger.HashTransaction(previous, row)
}

// readMade finds the grants that a transaction made.
func (a *account) readMade(t *transaction) error {
	makes := t.Type == string(creditledger.TypeGrant) || t.Type == string(creditledger.TypeTransferIn)
	for {
		g, err := of(a.grants, t.UserID)
		if err != nil {
			return err
		}
		if g == nil || g.Sequence > t.Sequence {
			break
		}
		if !makes || g.Sequence < t.Sequence || int(g.Part) != len(t.made) {
			return a.broken("grant "+g.ID.String(), "transaction %d did not make it, or not as its part %d", g.Sequence, g.Part)
		}
		t.made = append(t.made, &g.CreditGrant)
		a.grants.skip()
	}
	if makes && len(t.made) == 0 {
		return t.broken("the grant that it made is missing")
	}
	return nil
}

func (a *account) readNote(t *transaction) error {
	n, err := of(a.notes, t.UserID)
	if err != nil {
		return err
	}
	var salt []byte
	if n != nil && n.Sequence <= t.Sequence {
		if n.Sequence < t.Sequence {
			return a.broken(transactionName(n.Sequence), "there is a text for it, but no such transaction")
		}
		a.notes.skip()
		salt, t.note = n.Salt, creditledger.Note{Description: n.Description, Metadata: n.Metadata}
	}
	if problem := a.text(t.NoteDigest, salt, t.note); problem != "" {
		return t.broken("%s", problem)
	}
	return nil
}

// fieldsFit says whether a transaction names what its type does.
func (t *transaction) fieldsFit() bool {
	hold, original, grant, transfer := t.HoldID != nil, t.ReversesID != nil, t.GrantID != nil, t.TransferID != nil
	switch creditledger.TransactionType(t.Type) {
	case creditledger.TypeGrant, creditledger.TypeExpiry, creditledger.TypeRevocation:
		return !hold && !original && grant && !transfer
	case creditledger.TypeDebit:
		return !hold && !original && !grant && !transfer
	case creditledger.TypeCapture:
		return hold && !original && !grant && !transfer
	case creditledger.TypeReversal:
		return !hold && original && !grant && !transfer
	case creditledger.TypeTransferIn, creditledger.TypeTransferOut:
		return !hold && !original && !grant && transfer
	}
	return false
}

// applyTransaction does what the transaction did, and checks that it could.
func (a *account) applyTransaction(t *transaction) error {
	kind := creditledger.TransactionType(t.Type)
	if !t.asked() {
		return a.close(t, kind)
	}
	if err := a.nothingDue(&t.record); err != nil {
		return err
	}
	switch {
	case kind == creditledger.TypeGrant:
		return a.grant(t)
	case kind == creditledger.TypeTransferIn:
		return a.transferIn(t)
	case kind == creditledger.TypeReversal:
		return a.reverse(t)
	case kind == creditledger.TypeRevocation:
		return a.revoke(t)
	case kind == creditledger.TypeExpiry:
		return t.broken("credits expire by themselves, nobody asks for it")
	case t.Amount > 0:
		return t.broken("its amount %d has the wrong sign", t.Amount)
	case kind == creditledger.TypeCapture:
		return a.capture(t)
	case kind == creditledger.TypeTransferOut:
		if err := a.transferOut(t); err != nil {
			return err
		}
	}
	return a.spend(t)
}

// close takes what is free out of a lot that is over, which nobody asks for.
func (a *account) close(t *transaction, kind creditledger.TransactionType) error {
	if kind != creditledger.TypeExpiry && kind != creditledger.TypeRevocation || !t.byItself() {
		return t.broken("nobody asked for it")
	}
	l := a.lots.byID[*t.GrantID]
	switch {
	case l == nil || l.free() == 0:
		return t.broken("grant %s had nothing left to take out", *t.GrantID)
	case !l.over(t.at):
		return t.broken("grant %s had neither expired nor been revoked", *t.GrantID)
	case (kind == creditledger.TypeExpiry) != (l.revokedAt == nil):
		return t.broken("grant %s was %s", *t.GrantID, revoked(l.revokedAt))
	}
	amount := l.free()
	if kind == creditledger.TypeExpiry {
		l.expired += amount
	}
	return a.empty(t, l, amount)
}

// empty takes amount, which is all that is free, out of a lot.
func (a *account) empty(t *transaction, l *lot, amount int64) error {
	if want := []creditledger.Burn{{GrantID: l.grant.ID, Amount: amount}}; t.Amount != -amount || !slices.Equal(t.burned, want) {
		return t.broken("it takes %d, %s, but should take %s", -t.Amount, list(t.burned), list(want))
	}
	l.remaining -= amount
	a.lots.changed(l)
	return a.move(&t.record, -amount)
}

func (a *account) revoke(t *transaction) error {
	l := a.lots.byID[*t.GrantID]
	if l == nil || l.free() == 0 || l.over(t.at) {
		return t.broken("nothing of grant %s was left that could be revoked", *t.GrantID)
	}
	at := t.at
	l.revokedAt = &at
	return a.empty(t, l, l.free())
}

func (a *account) grant(t *transaction) error {
	switch g := t.made[0]; {
	case len(t.made) > 1 || g.ID != *t.GrantID || g.Amount != t.Amount || len(t.burned) > 0:
		return t.broken("it granted %d as grant %s, but grant %s is of %d", t.Amount, *t.GrantID, g.ID, g.Amount)
	case g.ExpiresAt != nil && !g.ExpiresAt.After(t.at):
		return t.broken("the grant had expired before it was made")
	}
	return a.add(t)
}

// add puts the grants that a transaction made into the account.
func (a *account) add(t *transaction) error {
	for _, g := range t.made {
		if g.Amount < 1 || !g.CreatedAt.Equal(t.at) {
			return a.broken("grant "+g.ID.String(), "it was made by transaction %d, but has another time", t.Sequence)
		}
		a.lots.changed(&lot{grant: g, remaining: g.Amount})
	}
	return a.move(&t.record, t.Amount)
}

// spend takes credits in burning order.
func (a *account) spend(t *transaction) error {
	if available := a.balance - a.held; -t.Amount > available {
		return t.broken("it takes %d, but only %d were available", -t.Amount, available)
	}
	if want := a.lots.take(-t.Amount, false); !slices.Equal(t.burned, want) {
		return t.broken("it burned %s, but the next to burn were %s", list(t.burned), list(want))
	}
	return a.move(&t.record, t.Amount)
}

// capture takes credits that a hold has set apart.
func (a *account) capture(t *transaction) error {
	h := a.holds[*t.HoldID]
	switch {
	case h == nil:
		return t.broken("hold %s is not active: it was never placed, or has ended", *t.HoldID)
	case -t.Amount > h.left():
		return t.broken("it captures %d, but only %d of hold %s are left", -t.Amount, h.left(), h.id())
	case !sameText(t.Reference, h.row.Reference) || h.noted != (t.NoteDigest != nil):
		return t.broken("its reference or text is not that of hold %s", h.id())
	case a.row.ClosedAt == nil && !sameNote(t.note, creditledger.Note{Description: h.row.Description, Metadata: h.row.Metadata}):
		return t.broken("its text is not that of hold %s", h.id())
	}
	h.captured -= t.Amount
	if want := a.unpin(h, -t.Amount, true); !slices.Equal(t.burned, want) {
		return t.broken("it burned %s, but the hold pins %s", list(t.burned), list(want))
	}
	a.capturing = t
	return a.move(&t.record, t.Amount)
}

// actor is who stands behind a record, as the chain has it.
func actor(kind string, id *uuid.UUID) creditledger.Actor {
	who := creditledger.Actor{Type: creditledger.ActorType(kind)}
	if id != nil {
		who.ID = *id
	}
	return who
}

func sameID(a, b *uuid.UUID) bool { return a == b || a != nil && b != nil && *a == *b }

func sameText(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }

func sameTime(a, b *time.Time) bool { return a == b || a != nil && b != nil && a.Equal(*b) }

func sameNote(a, b creditledger.Note) bool {
	return sameText(a.Description, b.Description) && string(a.Metadata) == string(b.Metadata)
}
