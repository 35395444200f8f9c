package ratelimit_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgdb"
	"github.com/authservice/authservice/internal/pgtest"
	"github.com/authservice/authservice/internal/ratelimit"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// bundle is a limiter with a clock that tests set.
type bundle struct {
	db      *pgtest.Database
	limiter *ratelimit.Limiter
	clock   *clock
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{db: pgtest.New(t), clock: &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}
	b.limiter = ratelimit.New(b.db.Pool, b.options())
	return b
}

func (b *bundle) options() ratelimit.Options {
	return ratelimit.Options{Key: []byte("0123456789abcdef0123456789abcdef"), Enabled: true, Now: b.clock.Now}
}

// replica is a limiter with connections of its own, as in another process.
func (b *bundle) replica(t *testing.T) *ratelimit.Limiter {
	t.Helper()
	pool, err := pgdb.Open(context.Background(), b.db.URL, pgdb.PoolOptions{
		MaxConns: 8, MaxConnLifetime: time.Hour, MaxConnIdleTime: time.Minute,
		ConnectTimeout: 30 * time.Second, StatementTimeout: time.Minute, LockTimeout: 30 * time.Second,
	})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return ratelimit.New(pool, b.options())
}

// take makes one attempt on one limit.
func (b *bundle) take(t *testing.T, l ratelimit.Limit) time.Duration {
	t.Helper()
	waits, err := b.limiter.Take(t.Context(), l)
	require.NoError(t, err)
	require.Len(t, waits, 1)
	return waits[0]
}

// burst takes until it is refused, and returns how often it was not, and the wait.
func (b *bundle) burst(t *testing.T, l ratelimit.Limit) (allowed int, wait time.Duration) {
	t.Helper()
	for wait = b.take(t, l); wait == 0 && allowed <= l.Rate.Attempts; wait = b.take(t, l) {
		allowed++
	}
	return allowed, wait
}

func (b *bundle) rows(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, b.db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM rate_limits").Scan(&n))
	return n
}

// clock is a clock that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) Advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

// atOnce runs f n times in parallel.
func atOnce(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-start; f(i) })
	}
	close(start)
	wg.Wait()
}
