package audit_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// bundle is an empty log, with a clock that goes on by a second at each event.
type bundle struct {
	db    *pgtest.Database
	log   *audit.Log
	clock *clock
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{db: pgtest.New(t), clock: &clock{at: epoch, tick: time.Second}}
	b.log = audit.New(b.db.Pool, b.clock.Now)
	return b
}

// write writes an event with the source of ctx, in a transaction that commits.
func (b *bundle) write(ctx context.Context, t *testing.T, what audit.Type, on audit.Target, details audit.Details) {
	t.Helper()
	require.NoError(t, pgx.BeginFunc(ctx, b.db.Pool, func(tx pgx.Tx) error { return b.log.Write(ctx, tx, what, on, details) }))
}

// record records an event that needs no source.
func (b *bundle) record(t *testing.T, actor audit.Actor, what audit.Type, on audit.Target) {
	t.Helper()
	require.NoError(t, b.log.Record(t.Context(), actor, what, on, nil))
}

// all is all events that the filter picks, newest first.
func (b *bundle) all(t *testing.T, f audit.Filter) []audit.Event {
	t.Helper()
	page, more, err := b.log.List(t.Context(), f, uuid.Max, 10_000)
	require.NoError(t, err)
	require.False(t, more)
	return page
}

func (b *bundle) one(t *testing.T) audit.Event {
	t.Helper()
	events := b.all(t, audit.Filter{})
	require.Len(t, events, 1)
	return events[0]
}

func (b *bundle) count(t *testing.T, table string) (n int) {
	t.Helper()
	require.NoError(t, b.db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
	return n
}

// requireEvent compares all but the id.
func requireEvent(t *testing.T, want, got audit.Event) {
	t.Helper()
	require.Empty(t, cmp.Diff(want, got, cmpopts.IgnoreFields(audit.Event{}, "ID"), cmpopts.EquateComparable(netip.Addr{})))
}

// clock is a clock that tests set.
type clock struct {
	mu   sync.Mutex
	at   time.Time
	tick time.Duration // goes on by this much after each reading
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.at
	c.at = c.at.Add(c.tick)
	return now
}

func ptr[V any](v V) *V { return &v }

// in is the time so long after the clocks' start.
func in(d time.Duration) *time.Time { return ptr(epoch.Add(d)) }
