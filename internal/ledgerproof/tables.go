package ledgerproof

import (
	"bytes"
	"context"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/dbgen"
)

// Rows that need nothing beside them.
type (
	grant struct{ dbgen.CreditGrant }
	note  struct{ dbgen.CreditTransactionNote }
	head  struct{ dbgen.LedgerCheckpointHead }
)

func (g grant) owner() uuid.UUID { return g.UserID }
func (n note) owner() uuid.UUID  { return n.UserID }
func (h head) owner() uuid.UUID  { return h.UserID }

// openStreams begins to read all tables, side by side.
func (p *proof) openStreams() {
	p.accounts = newStream(p.s, "accounts", func(ctx context.Context, r reader, after dbgen.LedgerProofAccountListRow) ([]dbgen.LedgerProofAccountListRow, error) {
		return r.LedgerProofAccountList(ctx, r.db, dbgen.LedgerProofAccountListParams{UserID: after.CreditAccount.UserID, PageSize: r.size})
	})
	p.transactions = newStream(p.s, "transactions", readTransactions)
	p.events = newStream(p.s, "hold events", readEvents)
	p.notes = newStream(p.s, "texts of transactions", func(ctx context.Context, r reader, after note) ([]note, error) {
		rows, err := r.LedgerProofNoteList(ctx, r.db, dbgen.LedgerProofNoteListParams{UserID: after.UserID, Sequence: after.Sequence, PageSize: r.size})
		return wrapped(rows, func(row dbgen.CreditTransactionNote) note { return note{row} }), err
	})
	p.grants = newStream(p.s, "grants", readGrants)
	p.transactionKeys = newKeyStream(p.s, "transaction", "ledger_transaction_keys", transactionKeys)
	p.eventKeys = newKeyStream(p.s, "hold event", "ledger_event_keys", eventKeys)
	p.heads = newStream(p.s, "heads of checkpoints", func(ctx context.Context, r reader, after head) ([]head, error) {
		rows, err := r.LedgerCheckpointHeadList(ctx, r.db, dbgen.LedgerCheckpointHeadListParams{UserID: after.UserID, Checkpoint: after.Checkpoint, PageSize: r.size})
		return wrapped(rows, func(row dbgen.LedgerCheckpointHead) head { return head{row} }), err
	})
}

func readGrants(ctx context.Context, r reader, after grant) ([]grant, error) {
	rows, err := r.LedgerProofGrantList(ctx, r.db, dbgen.LedgerProofGrantListParams{UserID: after.UserID, Sequence: after.Sequence, Part: after.Part, PageSize: r.size})
	return wrapped(rows, func(row dbgen.CreditGrant) grant { return grant{row} }), err
}

// noOrphans checks that no table has rows of accounts that are not there: of any
// before the next one, or, after the last, of any at all.
func (p *proof) noOrphans(next *dbgen.LedgerProofAccountListRow) error {
	for _, check := range []func(*dbgen.LedgerProofAccountListRow) error{
		orphans(p.transactions), orphans(p.events), orphans(p.notes), orphans(p.grants), orphans(p.heads),
		orphans(p.transactionKeys.stream), orphans(p.eventKeys.stream),
	} {
		if err := check(next); err != nil {
			return err
		}
	}
	return nil
}

func orphans[R owned](s *stream[R]) func(*dbgen.LedgerProofAccountListRow) error {
	return func(account *dbgen.LedgerProofAccountListRow) error {
		row, err := s.peek()
		if err != nil || row == nil {
			return err
		}
		if id := (*row).owner(); account == nil || bytes.Compare(id[:], account.CreditAccount.UserID[:]) < 0 {
			return brokenIn(id, "", "the account is gone, but there are still %s of it", s.what)
		}
		return nil
	}
}

// noMoreHolds checks that there are no holds, and no texts of holds, but those
// that events have placed.
func (p *proof) noMoreHolds() error {
	return p.s.ask("holds", func(ctx context.Context, r reader) error {
		there, err := r.LedgerProofCount(ctx, r.db)
		if err != nil || there == p.count {
			return err
		}
		holds, err := r.LedgerProofHoldWithoutEvent(ctx, r.db)
		if err != nil {
			return err
		}
		for _, h := range holds {
			return brokenIn(h.UserID, "hold "+h.ID.String(), "no event has placed it")
		}
		notes, err := r.LedgerProofHoldNoteWithoutHold(ctx, r.db)
		if err != nil {
			return err
		}
		for _, n := range notes {
			return brokenIn(n.UserID, "hold "+n.HoldID.String(), "there is a text for it, but no such hold")
		}
		return broken("holds", "there are %d with %d texts, but events have placed %d with %d", there.Holds, there.HoldNotes, p.count.Holds, p.count.HoldNotes)
	})
}

func wrapped[Row, R any](rows []Row, wrap func(Row) R) []R {
	all := make([]R, len(rows))
	for i, row := range rows {
		all[i] = wrap(row)
	}
	return all
}
