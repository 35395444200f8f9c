package creditledger

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

const (
	// firstPage is how many lots of an account are read at once; each further page is twice as large.
	firstPage = 8
	// dueMargin is how far ahead lots and holds are read that end by themselves:
	// the times of one batch's records go on from record to record.
	dueMargin = time.Minute
)

// load locks the accounts of the batch and puts on the desk what its operations
// need. Operations on accounts that somebody else has locked are taken out of
// the batch, unless wait says that it waits for them.
func (b *batch) load(wait bool) (locked []*operation, err error) {
	need := b.needs()
	found, err := b.read(need, wait)
	if err != nil {
		return nil, fmt.Errorf("reading for a posting: %w", err)
	}
	for _, k := range found.keys {
		b.keys[key{k.CallerID, k.Key}] = k
	}
	missing := b.open(need.accounts, found.accounts, need.dueUntil)
	if len(missing) > 0 && !wait {
		if locked, err = b.setApart(missing); err != nil {
			return nil, err
		}
	}
	return locked, b.lay(found)
}

// needs is what a batch needs to have read.
type needs struct {
	accounts                 []uuid.UUID // in the order in which they are locked
	dueUntil                 time.Time
	keys                     dbgen.IdempotencyKeyListNamedParams
	holds, grants, originals names
}

func (b *batch) needs() needs {
	n := needs{dueUntil: b.l.clock().Add(dueMargin)}
	for _, op := range b.ops {
		n.accounts = append(n.accounts, op.accounts...)
		if op.Key != "" {
			n.keys.CallerIds, n.keys.Keys = append(n.keys.CallerIds, op.Actor.ID), append(n.keys.Keys, op.Key)
		}
		n.holds.add(op.holds)
		n.grants.add(op.grants)
		n.originals.add(op.originals)
	}
	slices.SortFunc(n.accounts, compareIDs)
	n.accounts = slices.Compact(n.accounts)
	return n
}

// found is what was read.
type found struct {
	accounts  []dbgen.CreditAccount
	keys      []dbgen.IdempotencyKey
	first     []dbgen.CreditGrant // that burn first
	due       []dbgen.CreditGrant
	grants    []dbgen.CreditGrant
	dueHolds  []dbgen.CreditHold
	holds     []dbgen.CreditHoldListNamedRow
	originals []dbgen.CreditTransactionListOriginalsRow
}

// read begins the transaction, locks and reads, in one round trip.
func (b *batch) read(n needs, wait bool) (f found, err error) {
	q, ctx := b.l.q, b.ctx
	steps := []func(dbgen.DBTX) error{begin(ctx)}
	if len(n.accounts) > 0 {
		lock := q.CreditAccountLockFree
		if wait {
			lock = q.CreditAccountLock
		}
		steps = append(steps,
			func(db dbgen.DBTX) (err error) { f.accounts, err = lock(ctx, db, n.accounts); return err },
			func(db dbgen.DBTX) (err error) {
				f.first, err = q.CreditGrantListFirst(ctx, db, dbgen.CreditGrantListFirstParams{UserIds: n.accounts, PageSize: firstPage})
				return err
			},
			func(db dbgen.DBTX) (err error) {
				f.due, err = q.CreditGrantListDue(ctx, db, dbgen.CreditGrantListDueParams{UserIds: n.accounts, Until: &n.dueUntil})
				return err
			},
			func(db dbgen.DBTX) (err error) {
				f.dueHolds, err = q.CreditHoldListDue(ctx, db, dbgen.CreditHoldListDueParams{UserIds: n.accounts, Until: n.dueUntil})
				return err
			},
		)
	}
	if len(n.keys.Keys) > 0 {
		steps = append(steps, func(db dbgen.DBTX) (err error) { f.keys, err = q.IdempotencyKeyListNamed(ctx, db, n.keys); return err })
	}
	if len(n.holds.ids) > 0 {
		steps = append(steps, func(db dbgen.DBTX) (err error) {
			f.holds, err = q.CreditHoldListNamed(ctx, db, dbgen.CreditHoldListNamedParams{UserIds: n.holds.users, Ids: n.holds.ids})
			return err
		})
	}
	if len(n.grants.ids) > 0 {
		steps = append(steps, func(db dbgen.DBTX) (err error) {
			f.grants, err = q.CreditGrantListNamed(ctx, db, dbgen.CreditGrantListNamedParams{UserIds: n.grants.users, Ids: n.grants.ids})
			return err
		})
	}
	if len(n.originals.ids) > 0 {
		steps = append(steps, func(db dbgen.DBTX) (err error) {
			f.originals, err = q.CreditTransactionListOriginals(ctx, db, dbgen.CreditTransactionListOriginalsParams{UserIds: n.originals.users, Ids: n.originals.ids})
			return err
		})
	}
	err = pgdb.Pipeline(ctx, b.conn, steps...)
	return f, err
}

func begin(ctx context.Context) func(dbgen.DBTX) error {
	// The locking argument of the queries holds for this level; a database's default may be another.
	return func(db dbgen.DBTX) error { _, err := db.Exec(ctx, "begin isolation level read committed"); return err }
}

// lay puts what was read on the desk.
func (b *batch) lay(f found) error {
	b.shelve(f.first)
	b.putLots(f.due)
	b.putLots(f.grants)
	for _, row := range f.dueHolds {
		if err := b.putHold(row, Note{}); err != nil {
			return err
		}
	}
	for _, row := range f.holds {
		if err := b.putHold(row.CreditHold, Note{Description: row.Description, Metadata: row.Metadata}); err != nil {
			return err
		}
	}
	if err := b.putOriginals(f.originals); err != nil {
		return err
	}
	return b.readNamedLots()
}

// names are things by their ids, as queries take them.
type names struct{ users, ids []uuid.UUID }

func (n *names) add(all []named) {
	for _, one := range all {
		if !slices.Contains(n.ids, one.id) { // a query gives an answer for each time it is asked
			n.users, n.ids = append(n.users, one.userID), append(n.ids, one.id)
		}
	}
}

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }

// open puts locked accounts on the desk, and returns which of ids are not among them.
func (b *batch) open(ids []uuid.UUID, rows []dbgen.CreditAccount, dueRead time.Time) (missing []uuid.UUID) {
	locked := make(map[uuid.UUID]bool, len(rows))
	for _, row := range rows {
		locked[row.UserID] = true
		if row.ClosedAt != nil {
			continue // as if there were none
		}
		b.accounts[row.UserID] = &account{
			userID: row.UserID, balance: row.Balance, held: row.Held, sequence: row.Sequence, holdEvents: row.HoldEvents,
			head: [32]byte(row.HeadHash), updated: row.UpdatedAt,
			shelf: shelf{byID: map[uuid.UUID]*lot{}}, holds: map[uuid.UUID]*hold{}, dueRead: dueRead, source: b,
		}
	}
	for _, id := range ids {
		if !locked[id] {
			missing = append(missing, id)
		}
	}
	return missing
}

// setApart takes the operations out of the batch whose accounts somebody else
// has locked, but those that were answered before.
func (b *batch) setApart(missing []uuid.UUID) (locked []*operation, err error) {
	existing, err := b.l.q.CreditAccountListExisting(b.ctx, b.conn, missing)
	if err != nil {
		return nil, fmt.Errorf("looking for locked accounts: %w", err)
	}
	if len(existing) == 0 {
		return nil, nil
	}
	var kept []*operation
	for _, op := range b.ops {
		waits := slices.ContainsFunc(op.accounts, func(id uuid.UUID) bool { return slices.Contains(existing, id) })
		if _, known := b.keys[op.key()]; waits && (!known || op.Key == "") {
			locked = append(locked, op)
		} else {
			kept = append(kept, op)
		}
	}
	b.ops = kept
	return locked, nil
}

// shelve puts the first lots of each account, in burning order, on its shelf.
func (b *batch) shelve(rows []dbgen.CreditGrant) {
	pages := make(map[uuid.UUID][]*lot, len(b.accounts))
	for _, row := range rows {
		pages[row.UserID] = append(pages[row.UserID], lotFrom(row))
	}
	for id, a := range b.accounts {
		page := pages[id]
		slices.SortFunc(page, burnOrder)
		a.page(page, firstPage)
	}
}

// putLots puts lots on the shelves of their accounts, wherever they burn.
func (b *batch) putLots(rows []dbgen.CreditGrant) {
	for _, row := range rows {
		if a := b.accounts[row.UserID]; a != nil {
			l := a.put(lotFrom(row))
			if l.expiresAt != nil && !l.expiresAt.After(a.dueRead) {
				a.watch(l)
			}
		}
	}
}

func (b *batch) putHold(row dbgen.CreditHold, note Note) error {
	a := b.accounts[row.UserID]
	if a == nil || a.holds[row.ID] != nil && note.empty() {
		return nil
	}
	h, err := holdFrom(row)
	if err != nil {
		return err
	}
	h.Note = note
	a.holds[h.ID] = h
	return nil
}

func (b *batch) putOriginals(rows []dbgen.CreditTransactionListOriginalsRow) error {
	byID := map[uuid.UUID][]dbgen.CreditTransactionListOriginalsRow{}
	for _, row := range rows {
		byID[row.ID] = append(byID[row.ID], row)
	}
	for id, rows := range byID {
		o, err := originalFrom(rows)
		if err != nil {
			return err
		}
		b.originals[id] = o
	}
	return nil
}

// readNamedLots reads the lots that holds pin and that originals burned, as far
// as they are not known by now.
func (b *batch) readNamedLots() error {
	var wanted names
	want := func(a *account, burns []Burn) {
		for _, burn := range burns {
			if a != nil && a.byID[burn.GrantID] == nil {
				wanted.add([]named{{a.userID, burn.GrantID}})
			}
		}
	}
	for _, a := range b.accounts {
		for _, h := range a.holds {
			want(a, h.pinned)
		}
	}
	for _, o := range b.originals {
		want(b.accounts[o.userID], o.taken)
	}
	if len(wanted.ids) == 0 {
		return nil
	}
	rows, err := b.l.q.CreditGrantListNamed(b.ctx, b.conn, dbgen.CreditGrantListNamedParams{UserIds: wanted.users, Ids: wanted.ids})
	if err != nil {
		return fmt.Errorf("reading grants: %w", err)
	}
	b.putLots(rows)
	return nil
}

// readOn implements source.
func (b *batch) readOn(a *account) error {
	size := max(firstPage, a.read)
	rows, err := b.l.q.CreditGrantListOpen(b.ctx, b.conn, dbgen.CreditGrantListOpenParams{UserID: a.userID, Skip: int32(a.read), PageSize: int32(size)}) //nolint:gosec // lots in memory
	if err != nil {
		return fmt.Errorf("reading more grants: %w", err)
	}
	lots := make([]*lot, len(rows))
	for i, row := range rows {
		lots[i] = lotFrom(row)
	}
	a.page(lots, size)
	return nil
}

// readDue implements source.
func (b *batch) readDue(a *account, until time.Time) error {
	ids := []uuid.UUID{a.userID}
	lots, err := b.l.q.CreditGrantListDue(b.ctx, b.conn, dbgen.CreditGrantListDueParams{UserIds: ids, Until: &until})
	if err != nil {
		return fmt.Errorf("reading due grants: %w", err)
	}
	holds, err := b.l.q.CreditHoldListDue(b.ctx, b.conn, dbgen.CreditHoldListDueParams{UserIds: ids, Until: until})
	if err != nil {
		return fmt.Errorf("reading due holds: %w", err)
	}
	a.dueRead = until
	b.putLots(lots)
	for _, l := range a.lots { // those that were known, and made by this batch
		if l.expiresAt != nil && !l.expiresAt.After(until) {
			a.watch(l)
		}
	}
	for _, row := range holds {
		if err := b.putHold(row, Note{}); err != nil {
			return err
		}
	}
	return b.readNamedLots()
}

var _ source = (*batch)(nil)
