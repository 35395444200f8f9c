package creditledger

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/pgdb"
)

// All changes go through the poster, which commits requests in groups: those
// that come in while a commit is under way are taken together by the next. There
// is no timer, so that an idle ledger adds no delay, and no goroutine while
// there is nothing to do.
//
// What is in a batch under way is left for the next, so that the batches of a
// process do not wait for each other; what makes it safe is the lock of the
// account's row. A batch leaves out accounts that somebody
// else has locked, and waits for them apart from the others, so that one account
// cannot hold up the rest.
const (
	// lanes is how many batches are under way at once, beside those that wait.
	lanes = 1
	// waiters is how many batches wait for accounts that others have locked.
	waiters = 4
	// batchWeight is how many operations a batch takes at the most, unless one
	// request alone brings more.
	batchWeight = 512
	// queueWeight is how many operations wait at the most; beyond that a request
	// is refused with ErrBusy.
	queueWeight = 8192
)

// ErrBusy is for requests that the queue has no room for.
var ErrBusy = apperr.UnavailableBecause(errors.New("the queue of the ledger is full"))

// operation is one request on its way through the poster.
type operation struct {
	Request                       // without a Key for what nobody asked for
	accounts          []uuid.UUID // all that it touches
	holds             []named     // what must have been read for it, beside the accounts
	grants, originals []named
	weight            int // how many operations it stands for, at least 1
	decide            func(*desk, *Request) (outcome, error)

	ctx   context.Context //nolint:containedctx // of its caller, for logs and traces
	state atomic.Int32    // stateWaiting, until it is taken or abandoned
	began time.Time       // when it was queued
	done  chan struct{}
	// What became of it; to be read after done.
	outcome outcome
	err     error
	record  record
}

// named is something of an account that has an id of its own.
type named struct{ userID, id uuid.UUID }

const (
	stateWaiting int32 = iota
	stateTaken
	stateAbandoned
)

// finish tells the caller, if there still is one.
func (op *operation) finish(o outcome, err error) {
	op.outcome, op.err = o, err
	close(op.done)
}

// postOne posts what a single operation of a batch would do.
func (l *Ledger) postOne(ctx context.Context, r Request, o BulkOperation) (Receipt, error) {
	if err := o.check(); err != nil {
		return Receipt{}, err
	}
	return l.postReceipt(ctx, &operation{Request: r, accounts: o.accounts(), decide: func(d *desk, r *Request) (outcome, error) {
		made, err := o.apply(d, r)
		if err != nil {
			return outcome{}, err
		}
		return outcome{transaction: made[0]}, nil
	}})
}

func (l *Ledger) postReceipt(ctx context.Context, op *operation) (Receipt, error) {
	o, err := l.post(ctx, op)
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{Transaction: *o.transaction, Replayed: o.replayed}, nil
}

// post is the one way in which credits move. When ctx ends first, the operation
// is done once or not at all; the caller learns which by sending it again.
func (l *Ledger) post(ctx context.Context, op *operation) (outcome, error) {
	if err := ctx.Err(); err != nil {
		return outcome{}, pgdb.Classify(err)
	}
	op.weight = max(op.weight, 1)
	op.ctx, op.began = ctx, time.Now()
	op.done = make(chan struct{})
	if err := l.poster.add(op); err != nil {
		return outcome{}, err
	}
	select {
	case <-op.done:
	case <-ctx.Done():
		if !op.state.CompareAndSwap(stateWaiting, stateAbandoned) {
			go func() { // it is being done all the same
				<-op.done
				l.logRecord(context.WithoutCancel(ctx), op.record)
			}()
		}
		return outcome{}, pgdb.Classify(ctx.Err())
	}
	l.logRecord(ctx, op.record)
	if op.err == nil && op.outcome.refused != nil {
		op.err = op.outcome.refused
	}
	return op.outcome, op.err
}

// poster is the queue before the database.
type poster struct {
	// run posts operations together and finishes each of them but those that it
	// returns: they touch accounts that somebody else has locked, which it does
	// not wait for unless wait says so.
	run func(ops []*operation, wait bool) (locked []*operation)

	mu      sync.Mutex
	queue   []*operation
	weight  int                    // of the queue
	busy    map[uuid.UUID]struct{} // accounts in a batch that is under way
	keys    map[key]struct{}       // the same for keys
	running int                    // batches under way
	waiting int                    // batches that wait for locked accounts
	apart   [][]*operation         // batches that are to wait
}

// key is an Idempotency-Key and whose it is.
type key struct {
	callerID uuid.UUID
	text     string
}

func newPoster(run func([]*operation, bool) []*operation) poster {
	return poster{run: run, busy: map[uuid.UUID]struct{}{}, keys: map[key]struct{}{}}
}

func (p *poster) add(op *operation) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.weight+op.weight > queueWeight && p.weight > 0 {
		return ErrBusy
	}
	p.queue = append(p.queue, op)
	p.weight += op.weight
	p.start()
	return nil
}

// start begins what can be begun. To be called under the lock.
func (p *poster) start() {
	for p.running < lanes {
		batch := p.next()
		if len(batch) == 0 {
			break
		}
		p.running++
		go p.runFree(batch)
	}
	for p.waiting < waiters && len(p.apart) > 0 {
		batch := p.apart[0]
		p.apart = p.apart[1:]
		p.waiting++
		go p.runWaiting(batch)
	}
}

// next takes from the queue what can go together: no account and no key that is
// in a batch under way, and no key twice. What is left keeps its order.
func (p *poster) next() (batch []*operation) {
	weight, left := 0, p.queue[:0]
	for i, op := range p.queue {
		if weight >= batchWeight || weight > 0 && weight+op.weight > batchWeight {
			left = append(left, p.queue[i:]...)
			break
		}
		if p.isBusy(op) {
			left = append(left, op)
			continue
		}
		p.weight -= op.weight
		if !op.state.CompareAndSwap(stateWaiting, stateTaken) {
			continue // its caller has gone
		}
		weight += op.weight
		batch = append(batch, op)
		if op.Key != "" {
			p.keys[op.key()] = struct{}{}
		}
	}
	clear(p.queue[len(left):])
	p.queue = left
	for _, op := range batch {
		for _, id := range op.accounts {
			p.busy[id] = struct{}{}
		}
	}
	return batch
}

func (op *operation) key() key { return key{op.Actor.ID, op.Key} }

func (p *poster) isBusy(op *operation) bool {
	if _, busy := p.keys[op.key()]; busy && op.Key != "" {
		return true
	}
	for _, id := range op.accounts {
		if _, busy := p.busy[id]; busy {
			return true
		}
	}
	return false
}

// runFree posts a batch, and puts apart what would have to wait.
func (p *poster) runFree(batch []*operation) {
	locked := p.run(batch, false)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	groups := byFirstAccount(locked)
	p.free(batch, groups)
	p.apart = append(p.apart, groups...)
	p.start()
}

// runWaiting posts a batch that waits for its accounts.
func (p *poster) runWaiting(batch []*operation) {
	p.run(batch, true)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting--
	p.free(batch, p.apart)
	p.start()
}

// free gives back the accounts and keys of a batch, but for those of groups,
// which are still to be posted.
func (p *poster) free(batch []*operation, groups [][]*operation) {
	for _, op := range batch {
		delete(p.keys, op.key())
		for _, id := range op.accounts {
			delete(p.busy, id)
		}
	}
	for _, group := range groups {
		for _, op := range group {
			p.keys[op.key()] = struct{}{}
			for _, id := range op.accounts {
				p.busy[id] = struct{}{}
			}
		}
	}
}

// byFirstAccount splits operations, so that each group waits for one account.
func byFirstAccount(ops []*operation) (groups [][]*operation) {
	at := map[uuid.UUID]int{}
	for _, op := range ops {
		i, known := at[op.accounts[0]]
		if !known {
			i = len(groups)
			at[op.accounts[0]] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], op)
	}
	return groups
}
