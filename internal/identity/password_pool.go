package identity

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/bcryptworker"
)

// defaultQueue is how many passwords may wait to be hashed.
const defaultQueue = 32

var errTooManyWaiting = errors.New("too many passwords wait to be hashed")

// refusalDelay is how long who is told to come back waits for that: a client that
// asks again at once, as in a flood, is kept from asking thousands of times a second.
const refusalDelay = time.Second

// hashPool has done what keeps a CPU busy: a few at a time; some more wait their
// turn, first come first served; and those beyond are told to come back.
type hashPool struct {
	work    func(bcryptworker.Work) (bcryptworker.Result, error)
	slots   chan struct{}
	queue   int64
	delay   time.Duration // of a refusal
	waiting atomic.Int64
	took    atomic.Int64 // the last run, in nanoseconds

	done, refused, spent atomic.Int64 // since the start; spent in nanoseconds
}

// HashQueue is the queue of passwords that are to be hashed or compared.
type HashQueue struct {
	Running, Waiting int64
	Slots, Queue     int64         // most that may run and wait
	Done, Refused    int64         // since the start
	Time             time.Duration // spent on those that are done
}

// HashQueue tells how things stand.
func (s *Service) HashQueue() HashQueue {
	p := s.hasher.pool
	return HashQueue{
		Running: int64(len(p.slots)), Waiting: p.waiting.Load(), Slots: int64(cap(p.slots)), Queue: p.queue,
		Done: p.done.Load(), Refused: p.refused.Load(), Time: time.Duration(p.spent.Load()),
	}
}

// newHashPool returns a pool with the defaults for what is 0 or nil.
func newHashPool(slots, queue int, work func(bcryptworker.Work) (bcryptworker.Result, error)) *hashPool {
	if slots == 0 {
		slots = runtime.GOMAXPROCS(0)
	}
	if queue == 0 {
		queue = defaultQueue
	}
	if work == nil {
		work = bcryptworker.Work.Do
	}
	return &hashPool{slots: make(chan struct{}, slots), queue: int64(queue), work: work, delay: refusalDelay}
}

// do has the work done when a slot is free. Errors: unavailable, when too many wait
// or ctx ends first; those of the work. What is begun keeps its slot to its end.
func (p *hashPool) do(ctx context.Context, w bcryptworker.Work) (bcryptworker.Result, error) {
	if err := p.enter(ctx); err != nil {
		return bcryptworker.Result{}, err
	}
	var (
		r     bcryptworker.Result
		err   error
		fault any
		done  = make(chan struct{})
	)
	go func() {
		defer close(done)
		defer p.leave(time.Now())
		defer func() { fault = recover() }()
		r, err = p.work(w)
	}()
	select {
	case <-done:
		if fault != nil {
			panic(fault)
		}
		return r, err
	case <-ctx.Done():
		return bcryptworker.Result{}, p.busy(ctx.Err())
	}
}

func (p *hashPool) leave(began time.Time) {
	took := int64(time.Since(began))
	p.took.Store(took)
	p.spent.Add(took)
	p.done.Add(1)
	<-p.slots
}

func (p *hashPool) enter(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	if p.waiting.Add(1) > p.queue {
		p.waiting.Add(-1)
		select {
		case <-time.After(p.delay):
		case <-ctx.Done():
		}
		return p.busy(errTooManyWaiting)
	}
	defer p.waiting.Add(-1)
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return p.busy(ctx.Err())
	}
}

// busy sends away until a full queue has had its turn.
func (p *hashPool) busy(cause error) error {
	p.refused.Add(1)
	err := apperr.UnavailableBecause(cause)
	err.RetryAfter = max(err.RetryAfter, time.Duration(p.took.Load()*p.queue/int64(cap(p.slots))))
	return err
}
