package creditledger

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

const (
	// batchTimeout bounds a batch whose callers have all gone; statements and
	// locks have timeouts of their own, which end sooner.
	batchTimeout = 30 * time.Second
	// batchTries is how often a batch is begun at the most.
	batchTries = 4
)

// BatchStats is what a batch did, for metrics.
type BatchStats struct {
	Operations int                     // taken together
	Accounts   int                     // locked for them
	Waited     time.Duration           // of the operation that waited longest in the queue
	Took       time.Duration           // from the first statement to the commit
	Posted     map[TransactionType]int // transactions
	HoldEvents map[HoldEventType]int
}

// batch is operations that are posted in one database transaction.
type batch struct {
	*desk
	l    *Ledger
	ctx  context.Context //nolint:containedctx // the batch is one call
	conn *pgx.Conn
	ops  []*operation
	keys map[key]dbgen.IdempotencyKey // that were known already

	kept    []keptKey // to be stored
	replays []*operation
}

// keptKey is what is to be remembered of an operation.
type keptKey struct {
	*operation
	outcome outcome
}

// postBatch posts operations together, or in parts where together they cannot
// be posted, and finishes them; see poster.run.
func (l *Ledger) postBatch(ops []*operation, wait bool) (locked []*operation) {
	ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
	defer cancel()
	for try := 1; ; try++ {
		locked, err := l.tryBatch(ctx, ops, wait)
		switch {
		case err == nil:
			return locked
		case try < batchTries && (pgdb.Retryable(err) || keyIsTaken(err)):
			// Safe whatever became of this try: what it applied is found under its keys.
			time.Sleep(rand.N(time.Duration(try) * 5 * time.Millisecond)) //nolint:gosec // only spreads tries
		case len(ops) > 1 && !pgdb.Passing(err):
			half := len(ops) / 2
			return append(l.postBatch(ops[:half], wait), l.postBatch(ops[half:], wait)...)
		default:
			for _, op := range ops {
				op.finish(outcome{}, pgdb.Classify(err))
			}
			return nil
		}
	}
}

func callersOf(ops []*operation) []context.Context {
	callers := make([]context.Context, len(ops))
	for i, op := range ops {
		callers[i] = op.ctx
	}
	return callers
}

func (l *Ledger) tryBatch(ctx context.Context, ops []*operation, wait bool) (locked []*operation, err error) {
	began := time.Now()
	ctx, ended := l.o.Together.Begin(ctx, callersOf(ops))
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		ended()
		return nil, fmt.Errorf("acquiring a connection: %w", err)
	}
	b := &batch{l: l, ctx: ctx, conn: conn.Conn(), ops: ops, desk: newDesk(), keys: map[key]dbgen.IdempotencyKey{}}
	defer func() {
		if conn.Conn().PgConn().TxStatus() != 'I' && !conn.Conn().IsClosed() {
			_, _ = conn.Exec(ctx, "rollback")
		}
		conn.Release()
		ended()
		if err == nil {
			b.answer(began)
		}
	}()
	if locked, err = b.load(wait); err != nil { //nolint:contextcheck // the batch carries it
		return nil, err
	}
	err = b.decide()
	if err != nil {
		return nil, err
	}
	return locked, b.write() //nolint:contextcheck // the batch carries it
}

// decide decides all operations one by one, each on what those before it left.
func (b *batch) decide() error {
	b.clock = b.l.clock() // under the locks
	for _, op := range b.ops {
		if known, ok := b.keys[op.key()]; ok && op.Key != "" {
			if bytes.Equal(known.Fingerprint, op.Fingerprint[:]) {
				b.replays = append(b.replays, op)
			} else {
				op.outcome, op.err = outcome{}, ErrKeyReused
			}
			continue
		}
		if err := b.decideOne(op); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) decideOne(op *operation) (err error) {
	defer func() {
		// A fault in one operation must not end the process, nor its neighbours.
		if r := recover(); r != nil {
			err = apperr.InternalBecause(fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	op.outcome, op.err = outcome{}, nil
	if err := b.touch(op.accounts); err != nil {
		return err
	}
	o, err := op.decide(b.desk, &op.Request)
	switch {
	case err == nil:
		b.finish(op.accounts)
		op.outcome = o
	case !isRefusal(err):
		return err
	case !keepable(err):
		op.err = err
		return nil
	default:
		reason := apperr.From(err)
		refused := &Refused{Reason: reason}
		refused.Status, refused.Body = op.Refusal(reason)
		op.outcome = outcome{refused: refused}
	}
	if op.Key != "" {
		b.kept = append(b.kept, keptKey{op, op.outcome})
	}
	return nil
}

// answer tells the callers, after the commit.
func (b *batch) answer(began time.Time) {
	if b.l.o.Observe != nil {
		b.l.o.Observe(b.ctx, b.stats(began))
	}
	if b.l.o.Log != nil {
		b.l.logRecord(b.ctx, b.shareRecords())
	}
	replayed := make(map[*operation]bool, len(b.replays))
	for _, op := range b.replays {
		replayed[op] = true
		o, err := b.l.replay(b.ctx, b.keys[op.key()])
		o.replayed = !op.outcome.is(o)
		op.finish(o, pgdb.Classify(err))
	}
	for _, op := range b.ops {
		if !replayed[op] {
			op.finish(op.outcome, op.err)
		}
	}
}

func (b *batch) stats(began time.Time) BatchStats {
	s := BatchStats{
		Operations: len(b.ops), Accounts: len(b.accounts), Took: time.Since(began),
		Posted: map[TransactionType]int{}, HoldEvents: map[HoldEventType]int{},
	}
	for _, op := range b.ops {
		s.Waited = max(s.Waited, began.Sub(op.began))
	}
	for _, a := range b.accounts {
		for _, t := range a.posted {
			s.Posted[t.Type]++
		}
		for _, e := range a.events {
			s.HoldEvents[e.Type]++
		}
	}
	return s
}

// desk is what operations decide on: accounts under their locks.
type desk struct {
	clock     time.Time
	accounts  map[uuid.UUID]*account
	originals map[uuid.UUID]*original
}

func newDesk() *desk {
	return &desk{accounts: map[uuid.UUID]*account{}, originals: map[uuid.UUID]*original{}}
}

// account returns an account that is open. Errors: ErrUserNotFound.
func (d *desk) account(userID uuid.UUID) (*account, error) {
	if a := d.accounts[userID]; a != nil {
		return a, nil
	}
	return nil, ErrUserNotFound
}

// touch begins an operation on those of the accounts that there are.
func (d *desk) touch(accounts []uuid.UUID) error {
	for _, id := range accounts {
		if a := d.accounts[id]; a != nil {
			if err := a.touch(d.clock); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish ends it.
func (d *desk) finish(accounts []uuid.UUID) {
	for _, id := range accounts {
		if a := d.accounts[id]; a != nil {
			a.finish()
		}
	}
}

// cloneAccounts are copies to go back to.
func (d *desk) cloneAccounts(ids []uuid.UUID) map[uuid.UUID]*account {
	c := make(map[uuid.UUID]*account, len(ids))
	for _, id := range ids {
		if a := d.accounts[id]; a != nil && c[id] == nil {
			c[id] = a.clone()
		}
	}
	return c
}

// sorted returns the accounts in the order of their ids.
func (d *desk) sorted() []*account {
	all := make([]*account, 0, len(d.accounts))
	for _, a := range d.accounts {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *account) int { return bytes.Compare(a.userID[:], b.userID[:]) })
	return all
}
