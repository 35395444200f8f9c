package ledgerproof

import (
	"bytes"
	"context"
	"fmt"

	"github.com/authservice/authservice/internal/dbgen"
)

// history is the checkpoints of the database, and what the heads of accounts
// that are stored with them make of their roots and counts.
type history struct {
	checkpoints []Checkpoint
	tree        tree
	// What each checkpoint has more than the one before it.
	accounts, transactions, holdEvents []int64
}

// readHistory checks the checkpoints by themselves, and against those that were
// kept outside.
func (p *proof) readHistory() error {
	var rows []dbgen.LedgerCheckpoint
	err := p.s.ask("checkpoints", func(ctx context.Context, r reader) (err error) {
		rows, err = r.LedgerCheckpointList(ctx, r.db)
		return err
	})
	if err != nil {
		return err
	}
	n := len(rows)
	p.history = &history{accounts: make([]int64, n), transactions: make([]int64, n), holdEvents: make([]int64, n)}
	p.report.Checkpoints = int64(n)
	before := Checkpoint{}
	for i := range rows {
		c, ok := checkpointFrom(&rows[i])
		name := checkpointName(c.Number)
		switch {
		case !ok:
			return broken(checkpointName(rows[i].Number), "it cannot be read")
		case c.Number != before.Number+1:
			return broken(checkpointName(before.Number+1), "it is missing; the next one has the number %d", c.Number)
		case !c.signed():
			return broken(name, "its signature does not fit: it was changed after it was signed")
		case c.Previous != before.Root:
			return broken(name, "it does not name the root of the checkpoint before it")
		case i > 0 && !c.CreatedAt.After(before.CreatedAt):
			return broken(name, "it is not later than the checkpoint before it")
		}
		if i == 0 || c.PublicKey != before.PublicKey {
			p.report.KeyIDs = append(p.report.KeyIDs, c.KeyID())
		}
		p.history.checkpoints = append(p.history.checkpoints, c)
		before = c
	}
	return p.compareOutside()
}

// compareOutside checks that what was kept outside is in the database.
func (p *proof) compareOutside() error {
	kept := make(map[int64]bool, len(p.o.Outside))
	stored := p.history.checkpoints
	for i := range p.o.Outside {
		c := &p.o.Outside[i]
		name := "kept " + checkpointName(c.Number)
		switch {
		case !c.signed():
			return broken(name, "its signature does not fit: it was changed where it was kept")
		case c.Number > int64(len(stored)):
			return broken(name, "the newest of the database is number %d: it was taken back to a state before %s, or the newest were removed", len(stored), moment(c.CreatedAt))
		case c.Number < 1 || !c.same(&stored[c.Number-1]):
			return broken(name, "the database has another one with this number, of %s: its history from there on is not the one that was kept", moment(stored[max(c.Number, 1)-1].CreatedAt))
		}
		kept[c.Number] = true
	}
	if len(kept) == 0 {
		return nil
	}
	for i := range stored {
		if !kept[stored[i].Number] {
			p.report.NotOutside = append(p.report.NotOutside, stored[i].Number)
		}
	}
	return nil
}

func (c *Checkpoint) same(o *Checkpoint) bool {
	return bytes.Equal(c.Statement(), o.Statement()) && c.PublicKey == o.PublicKey && c.Signature == o.Signature
}

func checkpointName(number int64) string { return fmt.Sprintf("checkpoint %d", number) }

// readHeads reads what checkpoints say of an account, and gives it to the trees.
func (a *account) readHeads() error {
	var (
		versions []version
		before   dbgen.LedgerCheckpointHead
	)
	h := a.history
	for {
		next, err := of(a.heads, a.row.UserID)
		if err != nil {
			return err
		}
		if next == nil {
			break
		}
		a.heads.skip()
		now := next.LedgerCheckpointHead
		name := checkpointName(now.Checkpoint)
		switch {
		case now.Checkpoint < 1 || now.Checkpoint > int64(len(h.checkpoints)):
			return a.broken(name, "there is a head of the account for it, but no such checkpoint")
		case before.Checkpoint > 0 && now.Sequence == before.Sequence && now.HoldEvents == before.HoldEvents:
			return a.broken(name, "there is a head of the account for it, although nothing had changed since checkpoint %d", before.Checkpoint)
		case now.Sequence < before.Sequence || now.HoldEvents < before.HoldEvents:
			return a.broken(name, "the account had %d transactions and %d hold events at it, but %d and %d before: it was taken back", now.Sequence, now.HoldEvents, before.Sequence, before.HoldEvents)
		}
		i := now.Checkpoint - 1
		if before.Checkpoint == 0 {
			h.accounts[i]++
		}
		h.transactions[i] += now.Sequence - before.Sequence
		h.holdEvents[i] += now.HoldEvents - before.HoldEvents
		versions = append(versions, version{now.Checkpoint, leafHash(now.UserID, now.Sequence, now.HoldEvents, now.HeadHash)})
		a.recorded = append(a.recorded, now)
		before = now
	}
	if len(versions) > 0 {
		h.tree.add(a.row.UserID, versions)
	}
	return nil
}

// passHeads checks the heads that checkpoints have of the account where it
// stands now.
func (a *account) passHeads() error {
	for len(a.recorded) > 0 {
		h := &a.recorded[0]
		switch {
		case h.Sequence == a.sequence && h.HoldEvents == a.number:
			if !bytes.Equal(h.HeadHash, a.head[:]) {
				return a.broken(checkpointName(h.Checkpoint), "with %d transactions and %d hold events the account had another head then: its history up to there was written anew", h.Sequence, h.HoldEvents)
			}
			a.recorded = a.recorded[1:]
		case h.Sequence < a.sequence || h.HoldEvents < a.number:
			return a.broken(checkpointName(h.Checkpoint), "the account never had %d transactions and %d hold events: its history up to there was written anew", h.Sequence, h.HoldEvents)
		default:
			return nil
		}
	}
	return nil
}

// finish makes the roots of all checkpoints again.
func (h *history) finish() error {
	roots := h.tree.roots()
	var accounts, transactions, holdEvents int64
	for i := range h.checkpoints {
		c := &h.checkpoints[i]
		accounts += h.accounts[i]
		transactions += h.transactions[i]
		holdEvents += h.holdEvents[i]
		if c.Root != at(roots, c.Number) || c.Accounts != accounts || c.Transactions != transactions || c.HoldEvents != holdEvents {
			return broken(checkpointName(c.Number), "the heads of accounts that the database has for it are not those that were signed: it had %d accounts, %d transactions and %d hold events; now there are heads of %d accounts with %d and %d",
				c.Accounts, c.Transactions, c.HoldEvents, accounts, transactions, holdEvents)
		}
	}
	return nil
}
