package creditledger

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// posting is one use of the poster: an account under its lock.
type posting struct {
	*account
	l  *Ledger
	tx pgx.Tx
}

// decision makes the transaction that a request asks for, or refuses it.
type decision func(context.Context, *posting) (*Transaction, error)

// post is the one way in which credits move. It locks the account, answers a
// repeated request from what was kept, takes out what is due to expire, lets
// decide make the transaction, and writes everything, all in one database
// transaction. A refusal that the state is the reason for is kept and committed.
func (l *Ledger) post(ctx context.Context, r Request, userID uuid.UUID, decide decision) (Receipt, error) {
	var receipt Receipt
	var refusal error
	err := pgdb.InTx(ctx, l.pool, func(tx pgx.Tx) (err error) {
		receipt, refusal, err = l.postInTx(ctx, tx, r, userID, decide)
		return err
	}, keyIsTaken)
	if err == nil {
		err = refusal
	}
	return receipt, err
}

// postInTx returns a refusal, which is committed, apart from an error, which is not.
func (l *Ledger) postInTx(ctx context.Context, tx pgx.Tx, r Request, userID uuid.UUID, decide decision) (_ Receipt, refusal, err error) {
	p, err := l.lock(ctx, tx, userID)
	if err != nil {
		return Receipt{}, nil, err
	}
	if receipt, refusal, kept, err := l.answerKept(ctx, tx, r); kept || err != nil {
		return receipt, refusal, err
	}

	var t *Transaction
	refusal = ErrUserNotFound
	if p != nil {
		if err := p.expireDue(ctx); err != nil {
			return Receipt{}, nil, err
		}
		t, refusal = decide(ctx, p)
	}
	if refusal != nil && !keepable(refusal) {
		return Receipt{}, nil, refusal
	}
	// What expired stays expired, also when the request is refused.
	if p != nil {
		if err := p.write(ctx); err != nil {
			return Receipt{}, nil, err
		}
	}
	if refusal != nil {
		refusal, err := l.keepRefusal(ctx, tx, r, refusal)
		return Receipt{}, refusal, err
	}
	return Receipt{Transaction: *t}, nil, l.keepTransaction(ctx, tx, r, t)
}

// lock begins a posting; nil means that there is no such account, or no more.
func (l *Ledger) lock(ctx context.Context, tx pgx.Tx, userID uuid.UUID) (*posting, error) {
	row, err := l.q.CreditAccountLock(ctx, tx, userID)
	if pgdb.NoRows(err) || err == nil && row.ClosedAt != nil {
		return nil, nil //nolint:nilnil // no account is an answer like any other
	}
	if err != nil {
		return nil, fmt.Errorf("locking the credit account: %w", err)
	}
	a := &account{
		userID: row.UserID, balance: row.Balance, held: row.Held,
		sequence: row.Sequence, head: [32]byte(row.HeadHash), updated: row.UpdatedAt,
	}
	a.advance(l.clock())
	return &posting{account: a, l: l, tx: tx}, nil
}

// expireDue takes out what has expired, before anything is decided: expired
// credits are never spent, whether or not a periodic job has been there.
func (p *posting) expireDue(ctx context.Context) error {
	for {
		rows, err := p.l.q.CreditGrantListDue(ctx, p.tx, dbgen.CreditGrantListDueParams{UserID: p.userID, Now: &p.now})
		if err != nil {
			return fmt.Errorf("looking for due grants: %w", err)
		}
		// The first of them were taken out in memory, which took time: more may be due now.
		rows = rows[len(p.changed):]
		if len(rows) == 0 {
			return nil
		}
		for _, row := range rows {
			p.expire(lotFrom(row))
		}
	}
}

// lotsFor returns lots in burning order until they hold amount. Accounts may
// have thousands of open grants, of which a debit needs one or two.
func (p *posting) lotsFor(ctx context.Context, amount int64) ([]*lot, error) {
	// What is due was taken out in memory only; it is still open in the table.
	gone := make(map[uuid.UUID]bool, len(p.changed))
	for _, l := range p.changed {
		gone[l.id] = true
	}
	var lots []*lot
	for skip, size := int32(0), int32(8); amount > 0; skip, size = skip+size, 2*size {
		rows, err := p.l.q.CreditGrantListOpen(ctx, p.tx, dbgen.CreditGrantListOpenParams{UserID: p.userID, Skip: skip, PageSize: size})
		if err != nil {
			return nil, fmt.Errorf("listing open grants: %w", err)
		}
		for _, row := range rows {
			if !gone[row.ID] {
				lots = append(lots, lotFrom(row))
				amount -= lots[len(lots)-1].free()
			}
		}
		if amount > 0 && len(rows) < int(size) {
			return nil, fmt.Errorf("credit account %s: its grants hold %d less than its balance says", p.userID, amount)
		}
	}
	return lots, nil
}

// write stores what was decided.
func (p *posting) write(ctx context.Context) error {
	for _, t := range p.posted {
		if err := p.insert(ctx, t); err != nil {
			return err
		}
	}
	for _, l := range p.changed {
		if err := p.store(ctx, l); err != nil {
			return err
		}
	}
	if len(p.posted) == 0 {
		return nil
	}
	err := p.l.q.CreditAccountUpdate(ctx, p.tx, dbgen.CreditAccountUpdateParams{
		UserID: p.userID, Balance: p.balance, Held: p.held, Sequence: p.sequence, HeadHash: p.head[:], UpdatedAt: p.updated,
	})
	if err != nil {
		return fmt.Errorf("updating the credit account: %w", err)
	}
	return nil
}

func (p *posting) insert(ctx context.Context, t *Transaction) error {
	burned := []byte("[]")
	if len(t.Burned) > 0 {
		burned, _ = json.Marshal(t.Burned)
	}
	var actorID *uuid.UUID
	if t.Actor.Type != ActorSystem {
		actorID = &t.Actor.ID
	}
	err := p.l.q.CreditTransactionInsert(ctx, p.tx, dbgen.CreditTransactionInsertParams{
		UserID: t.UserID, Sequence: t.Sequence, ID: t.ID, Type: string(t.Type),
		Amount: t.Amount, BalanceAfter: t.BalanceAfter, Reference: t.Reference, NoteDigest: t.noteDigest,
		HoldID: t.HoldID, ReversesID: t.ReversesID, GrantID: t.GrantID, Burned: burned,
		ActorType: string(t.Actor.Type), ActorID: actorID, IdempotencyKey: t.IdempotencyKey,
		Hash: t.Hash[:], CreatedAt: t.CreatedAt,
	})
	if err != nil {
		return fmt.Errorf("inserting the transaction: %w", err)
	}
	if t.Note.empty() {
		return nil
	}
	err = p.l.q.CreditTransactionNoteInsert(ctx, p.tx, dbgen.CreditTransactionNoteInsertParams{
		UserID: t.UserID, Sequence: t.Sequence, Salt: t.noteSalt, Description: t.Note.Description, Metadata: t.Note.Metadata,
	})
	if err != nil {
		return fmt.Errorf("inserting the transaction's note: %w", err)
	}
	return nil
}

func (p *posting) store(ctx context.Context, l *lot) (err error) {
	if l.isNew {
		err = p.l.q.CreditGrantInsert(ctx, p.tx, dbgen.CreditGrantInsertParams{
			UserID: p.userID, ID: l.id, Sequence: l.sequence, Amount: l.amount,
			Priority: l.priority, ExpiresAt: l.expiresAt, CreatedAt: p.updated,
		})
	} else {
		err = p.l.q.CreditGrantUpdate(ctx, p.tx, dbgen.CreditGrantUpdateParams{
			UserID: p.userID, ID: l.id, Remaining: l.remaining, Expired: l.expired,
		})
	}
	if err != nil {
		return fmt.Errorf("storing grant %s: %w", l.id, err)
	}
	return nil
}

func lotFrom(row dbgen.CreditGrant) *lot {
	return &lot{
		id: row.ID, amount: row.Amount, remaining: row.Remaining, held: row.Held, expired: row.Expired,
		priority: row.Priority, expiresAt: row.ExpiresAt, sequence: row.Sequence,
	}
}
