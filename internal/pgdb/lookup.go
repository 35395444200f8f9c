package pgdb

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// lookupTimeout bounds a query whose callers have all gone.
const lookupTimeout = 10 * time.Second

// Lookup reads by key for many callers at once: those that ask while a query is
// under way share the next one, so that a busy process makes few queries and an
// idle one waits for nobody. It keeps nothing: each answer comes from a query
// that began after its caller had asked.
type Lookup[K comparable, V any] struct {
	query    func(context.Context, []K) (map[K]V, error)
	together Together
	mu       sync.Mutex
	next     *lookup[K, V] // that will begin when the one under way has ended
	running  bool
}

// lookup is one query and those who wait for it.
type lookup[K comparable, V any] struct {
	keys    map[K]struct{}
	callers []context.Context
	done    chan struct{}
	found   map[K]V
	err     error
}

// NewLookup returns a Lookup that finds what there is of many keys by query.
// together hears of each; nil for nobody.
func NewLookup[K comparable, V any](query func(context.Context, []K) (map[K]V, error), together Together) *Lookup[K, V] {
	return &Lookup[K, V]{query: query, together: together}
}

// Get returns what there is at key.
func (l *Lookup[K, V]) Get(ctx context.Context, key K) (value V, found bool, err error) {
	q := l.join(ctx, key)
	select {
	case <-q.done:
		value, found = q.found[key]
		return value, found, q.err
	case <-ctx.Done():
		return value, false, ctx.Err()
	}
}

func (l *Lookup[K, V]) join(ctx context.Context, key K) *lookup[K, V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == nil {
		l.next = &lookup[K, V]{keys: map[K]struct{}{}, done: make(chan struct{})}
	}
	q := l.next
	q.keys[key] = struct{}{}
	q.callers = append(q.callers, ctx)
	if !l.running {
		l.running = true
		go l.run()
	}
	return q
}

// run makes one query after the other, until nobody waits. Before each it lets
// those go first who can ask already: requests come in waves.
func (l *Lookup[K, V]) run() {
	for {
		runtime.Gosched()
		l.mu.Lock()
		q := l.next
		l.next = nil
		l.running = q != nil
		l.mu.Unlock()
		if q == nil {
			return
		}
		l.answer(q)
	}
}

func (l *Lookup[K, V]) answer(q *lookup[K, V]) {
	defer close(q.done)
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	ctx, ended := l.together.Begin(ctx, q.callers)
	defer ended()
	keys := make([]K, 0, len(q.keys))
	for key := range q.keys {
		keys = append(keys, key)
	}
	q.found, q.err = l.query(ctx, keys)
}
