package creditledger

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// statusApplied and statusChanged are what the contract answers where something
// was made, and where something was changed.
const (
	statusApplied = 201
	statusChanged = 200
)

// write stores what was decided, with one statement a table, and commits, all
// in one round trip unless somebody is to be told.
func (b *batch) write() error {
	var w writer
	for _, a := range b.sorted() {
		w.account(a)
	}
	b.keep(&w)
	notices := b.notices()

	q, ctx := b.l.q, b.ctx
	var steps []func(dbgen.DBTX) error
	store := func(need bool, step func(dbgen.DBTX) error) {
		if need {
			steps = append(steps, step)
		}
	}
	// In the order in which rows refer to each other.
	store(len(w.transactions.Ids) > 0, func(db dbgen.DBTX) error { return q.CreditTransactionInsertMany(ctx, db, w.transactions) })
	store(len(w.notes.Salts) > 0, func(db dbgen.DBTX) error { return q.CreditTransactionNoteInsertMany(ctx, db, w.notes) })
	store(len(w.newLots.Ids) > 0, func(db dbgen.DBTX) error { return q.CreditGrantInsertMany(ctx, db, w.newLots) })
	store(len(w.lots.Ids) > 0, func(db dbgen.DBTX) error { return q.CreditGrantUpdateMany(ctx, db, w.lots) })
	store(len(w.newHolds.Ids) > 0, func(db dbgen.DBTX) error { return q.CreditHoldInsertMany(ctx, db, w.newHolds) })
	store(len(w.holdNotes.Salts) > 0, func(db dbgen.DBTX) error { return q.CreditHoldNoteInsertMany(ctx, db, w.holdNotes) })
	store(len(w.holds.Ids) > 0, func(db dbgen.DBTX) error { return q.CreditHoldUpdateMany(ctx, db, w.holds) })
	store(len(w.events.HoldIds) > 0, func(db dbgen.DBTX) error { return q.CreditHoldEventInsertMany(ctx, db, w.events) })
	store(len(w.accounts.UserIds) > 0, func(db dbgen.DBTX) error { return q.CreditAccountUpdateMany(ctx, db, w.accounts) })
	store(len(w.keys.Keys) > 0, func(db dbgen.DBTX) error { return q.IdempotencyKeyInsertMany(ctx, db, w.keys) })
	store(len(notices) == 0, func(db dbgen.DBTX) error { _, err := db.Exec(ctx, "commit"); return err })
	if err := pgdb.Pipeline(ctx, b.conn, steps...); err != nil {
		return fmt.Errorf("writing a posting: %w", err)
	}
	if len(notices) == 0 {
		return nil
	}
	// The transaction was begun by a statement; this makes a pgx.Tx of it.
	tx, err := b.conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: "select"})
	if err != nil {
		return fmt.Errorf("writing a posting: %w", err)
	}
	if err := b.l.o.Notify(ctx, tx, notices); err != nil {
		return fmt.Errorf("telling users of a posting: %w", err)
	}
	return tx.Commit(ctx)
}

// notices is what users are to be told.
func (b *batch) notices() (all []Notice) {
	if b.l.o.Notify == nil {
		return nil
	}
	for _, a := range b.sorted() {
		for _, t := range a.posted {
			n := Notice{UserID: t.UserID, Balance: t.BalanceAfter, Low: t.BalanceAfter < b.l.o.LowBalance && t.BalanceAfter-t.Amount >= b.l.o.LowBalance}
			if t.Type == TypeGrant {
				n.Granted = t.Amount
			}
			if n.Granted > 0 || n.Low {
				all = append(all, n)
			}
		}
	}
	return all
}

// keep says what is remembered under the keys, in the order of the keys.
func (b *batch) keep(w *writer) {
	slices.SortFunc(b.kept, func(a, b keptKey) int {
		return cmp.Or(bytes.Compare(a.Actor.ID[:], b.Actor.ID[:]), strings.Compare(a.Key, b.Key))
	})
	w.keys.Now = b.clock
	for _, k := range b.kept {
		w.key(k)
	}
}

// writer collects rows column by column, as the queries take them. Where a
// column has no value it gets the zero value that stands for NULL.
type writer struct {
	transactions dbgen.CreditTransactionInsertManyParams
	notes        dbgen.CreditTransactionNoteInsertManyParams
	newLots      dbgen.CreditGrantInsertManyParams
	lots         dbgen.CreditGrantUpdateManyParams
	newHolds     dbgen.CreditHoldInsertManyParams
	holds        dbgen.CreditHoldUpdateManyParams
	holdNotes    dbgen.CreditHoldNoteInsertManyParams
	events       dbgen.CreditHoldEventInsertManyParams
	accounts     dbgen.CreditAccountUpdateManyParams
	keys         dbgen.IdempotencyKeyInsertManyParams
}

func (w *writer) account(a *account) {
	if !a.changed() {
		return
	}
	add(&w.accounts.UserIds, a.userID)
	add(&w.accounts.Balances, a.balance)
	add(&w.accounts.Helds, a.held)
	add(&w.accounts.Sequences, a.sequence)
	add(&w.accounts.HoldEvents, a.holdEvents)
	add(&w.accounts.HeadHashes, a.head[:])
	add(&w.accounts.UpdatedAts, a.updated)
	for _, t := range a.posted {
		w.transaction(t)
	}
	for _, l := range a.lots {
		if l.changed {
			w.lot(a, l)
		}
	}
	for _, h := range a.holds {
		if h.changed {
			w.hold(h)
		}
	}
	for _, e := range a.events {
		w.event(e)
	}
}

func (w *writer) transaction(t *Transaction) {
	c := &w.transactions
	add(&c.UserIds, t.UserID)
	add(&c.Sequences, t.Sequence)
	add(&c.Ids, t.ID)
	add(&c.Types, string(t.Type))
	add(&c.Amounts, t.Amount)
	add(&c.BalanceAfters, t.BalanceAfter)
	add(&c.Refs, orZero(t.Reference))
	add(&c.NoteDigests, t.noteDigest)
	add(&c.HoldIds, orZero(t.HoldID))
	add(&c.ReversesIds, orZero(t.ReversesID))
	add(&c.GrantIds, orZero(t.GrantID))
	add(&c.TransferIds, orZero(t.TransferID))
	add(&c.Burneds, burnsColumn(t.Burned))
	add(&c.ActorTypes, string(t.Actor.Type))
	add(&c.ActorIds, t.Actor.ID)
	add(&c.IdempotencyKeys, orZero(t.IdempotencyKey))
	add(&c.Hashes, t.Hash[:])
	add(&c.CreatedAts, t.CreatedAt)
	if t.Note.empty() {
		return
	}
	add(&w.notes.UserIds, t.UserID)
	add(&w.notes.Sequences, t.Sequence)
	add(&w.notes.Salts, t.noteSalt)
	add(&w.notes.Descriptions, orZero(t.Note.Description))
	add(&w.notes.Metadatas, metadataColumn(t.Note))
}

func (w *writer) lot(a *account, l *lot) {
	if l.isNew {
		c := &w.newLots
		add(&c.UserIds, a.userID)
		add(&c.Ids, l.id)
		add(&c.Sequences, l.sequence)
		add(&c.Parts, l.part)
		add(&c.Amounts, l.amount)
		add(&c.Remainings, l.remaining)
		add(&c.Helds, l.held)
		add(&c.ExpiredAmounts, l.expired)
		add(&c.Priorities, l.priority)
		add(&c.ExpiresAts, orZero(l.expiresAt))
		add(&c.RevokedAts, orZero(l.revokedAt))
		add(&c.CreatedAts, l.createdAt)
		return
	}
	c := &w.lots
	add(&c.UserIds, a.userID)
	add(&c.Ids, l.id)
	add(&c.Remainings, l.remaining)
	add(&c.Helds, l.held)
	add(&c.ExpiredAmounts, l.expired)
	add(&c.RevokedAts, orZero(l.revokedAt))
}

func (w *writer) hold(h *hold) {
	if !h.isNew {
		c := &w.holds
		add(&c.UserIds, h.UserID)
		add(&c.Ids, h.ID)
		add(&c.Amounts, h.Amount)
		add(&c.Captureds, h.Captured)
		add(&c.Statuses, string(h.Status))
		add(&c.Pinneds, burnsColumn(h.pinned))
		add(&c.TransactionIds, orZero(h.TransactionID))
		add(&c.UpdatedAts, h.UpdatedAt)
		return
	}
	c := &w.newHolds
	add(&c.UserIds, h.UserID)
	add(&c.Ids, h.ID)
	add(&c.Amounts, h.Amount)
	add(&c.Captureds, h.Captured)
	add(&c.Statuses, string(h.Status))
	add(&c.ExpiresAts, h.ExpiresAt)
	add(&c.Refs, orZero(h.Reference))
	add(&c.Pinneds, burnsColumn(h.pinned))
	add(&c.TransactionIds, orZero(h.TransactionID))
	add(&c.CreatedAts, h.CreatedAt)
	add(&c.UpdatedAts, h.UpdatedAt)
	if h.Note.empty() {
		return
	}
	add(&w.holdNotes.UserIds, h.UserID)
	add(&w.holdNotes.HoldIds, h.ID)
	add(&w.holdNotes.Salts, h.noteSalt)
	add(&w.holdNotes.Descriptions, orZero(h.Note.Description))
	add(&w.holdNotes.Metadatas, metadataColumn(h.Note))
}

func (w *writer) event(e *HoldEvent) {
	c := &w.events
	add(&c.UserIds, e.UserID)
	add(&c.Numbers, e.Number)
	add(&c.HoldIds, e.Hold.ID)
	add(&c.Types, string(e.Type))
	add(&c.Amounts, e.Hold.Amount)
	add(&c.Captureds, e.Hold.Captured)
	add(&c.Statuses, string(e.Hold.Status))
	add(&c.ExpiresAts, e.Hold.ExpiresAt)
	add(&c.Refs, orZero(e.Hold.Reference))
	add(&c.NoteDigests, e.noteDigest)
	add(&c.TransactionIds, orZero(e.Hold.TransactionID))
	add(&c.Pinneds, burnsColumn(e.Pinned))
	add(&c.HeldAfters, e.HeldAfter)
	add(&c.ActorTypes, string(e.Actor.Type))
	add(&c.ActorIds, e.Actor.ID)
	add(&c.IdempotencyKeys, orZero(e.IdempotencyKey))
	add(&c.Hashes, e.Hash[:])
	add(&c.CreatedAts, e.Hold.UpdatedAt)
}

func (w *writer) key(k keptKey) {
	var (
		user            uuid.UUID
		sequence, event int64
		parts           string
		status          int16 = statusApplied
		body                  = []byte{}
	)
	switch o := k.outcome; {
	case o.refused != nil:
		status, body = int16(o.refused.Status), o.refused.Body //nolint:gosec // an HTTP status
	case o.event != nil:
		user, event = o.event.UserID, o.event.Number
		if o.event.Type != EventPlaced {
			status = statusChanged
		}
	case o.transaction != nil:
		user, sequence = o.transaction.UserID, o.transaction.Sequence
	default:
		parts = string(partsColumn(o.parts))
	}
	c := &w.keys
	add(&c.CallerIds, k.Actor.ID)
	add(&c.Keys, k.Key)
	add(&c.Fingerprints, k.Fingerprint[:])
	add(&c.UserIds, user)
	add(&c.Sequences, sequence)
	add(&c.HoldEvents, event)
	add(&c.Parts, parts)
	add(&c.Statuses, status)
	add(&c.Bodies, body)
}

func add[T any](column *[]T, value T) { *column = append(*column, value) }

func orZero[T any](value *T) (zero T) {
	if value == nil {
		return zero
	}
	return *value
}

func metadataColumn(n Note) string {
	if n.Metadata == nil {
		return "null"
	}
	return string(n.Metadata)
}
