package ledgerproof

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// Checkpointer makes checkpoints. Its methods may be called concurrently, on
// several replicas.
type Checkpointer struct {
	pool *pgxpool.Pool
	q    *dbgen.Queries
	key  ed25519.PrivateKey
	now  func() time.Time
}

// NewCheckpointer returns one that signs with the Ed25519 key made of a seed of
// 32 bytes.
func NewCheckpointer(pool *pgxpool.Pool, seed []byte, now func() time.Time) *Checkpointer {
	return &Checkpointer{pool: pool, q: dbgen.New(), key: ed25519.NewKeyFromSeed(seed), now: now}
}

// Checkpoint signs and stores the state of all accounts as they are in one
// snapshot. It waits for no posting, and no posting waits for it.
func (c *Checkpointer) Checkpoint(ctx context.Context) (Checkpoint, error) {
	made, err := c.checkpoint(ctx, 0)
	if err != nil {
		return Checkpoint{}, pgdb.Classify(fmt.Errorf("making a checkpoint: %w", err))
	}
	return *made, nil
}

// CheckpointIfDue does so if the newest checkpoint is older than the interval;
// otherwise it returns nil. It is to be called more often than that.
func (c *Checkpointer) CheckpointIfDue(ctx context.Context, interval time.Duration) (*Checkpoint, error) {
	made, err := c.checkpoint(ctx, interval)
	if err != nil {
		return nil, pgdb.Classify(fmt.Errorf("making a checkpoint: %w", err))
	}
	return made, nil
}

func (c *Checkpointer) checkpoint(ctx context.Context, interval time.Duration) (made *Checkpoint, err error) {
	for {
		err = pgx.BeginTxFunc(ctx, c.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) (err error) {
			made, err = c.makeIn(ctx, tx, interval)
			return err
		})
		// Whoever is beaten to a number takes the next: somebody gets on each time.
		if !pgdb.Broke(err, pgdb.ConstraintCheckpointNumber) {
			return made, err
		}
	}
}

func (c *Checkpointer) makeIn(ctx context.Context, tx pgx.Tx, interval time.Duration) (*Checkpoint, error) {
	// The first one stores the heads of all accounts.
	if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = 0"); err != nil {
		return nil, err
	}
	made := &Checkpoint{Number: 1, CreatedAt: c.now().UTC().Truncate(time.Microsecond)}
	last, err := c.q.LedgerCheckpointLast(ctx, tx)
	switch {
	case pgdb.NoRows(err):
	case err != nil:
		return nil, err
	case interval > 0 && made.CreatedAt.Sub(last.CreatedAt) < interval:
		return nil, nil //nolint:nilnil // none is due
	default:
		made.Number, made.Previous = last.Number+1, [32]byte(last.Root)
		if !made.CreatedAt.After(last.CreatedAt) {
			made.CreatedAt = last.CreatedAt.Add(time.Microsecond) // clocks go back
		}
	}
	if err := c.root(ctx, tx, made); err != nil {
		return nil, err
	}
	made.sign(c.key)
	err = c.q.LedgerCheckpointInsert(ctx, tx, dbgen.LedgerCheckpointInsertParams{
		Number: made.Number, CreatedAt: made.CreatedAt, Accounts: made.Accounts, Transactions: made.Transactions, HoldEvents: made.HoldEvents,
		Root: made.Root[:], Previous: made.Previous[:], PublicKey: made.PublicKey[:], Signature: made.Signature[:],
	})
	if err != nil {
		return nil, err
	}
	return made, c.q.LedgerCheckpointHeadInsertChanged(ctx, tx, made.Number)
}

// root makes the tree over the heads of all accounts.
func (c *Checkpointer) root(ctx context.Context, tx pgx.Tx, made *Checkpoint) error {
	var t tree
	w := dbgen.LedgerHeadListParams{PageSize: pageSize}
	for {
		page, err := c.q.LedgerHeadList(ctx, tx, w)
		if err != nil {
			return err
		}
		for _, h := range page {
			made.Accounts++
			made.Transactions += h.Sequence
			made.HoldEvents += h.HoldEvents
			t.add(h.UserID, []version{{made.Number, leafHash(h.UserID, h.Sequence, h.HoldEvents, h.HeadHash)}})
		}
		if len(page) < pageSize {
			made.Root = at(t.roots(), made.Number)
			return nil
		}
		w.UserID = page[pageSize-1].UserID
	}
}
