package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/internal/httpapi"
	"github.com/authservice/authservice/internal/pgdb"
)

const (
	// healthCached is how long a finding is good for, so that a flood of
	// probes is one query a second.
	healthCached = time.Second
	// healthTimeout is when a database that does not answer counts as failed.
	healthTimeout = 2 * time.Second
)

// health answers whether requests should be sent here.
type health struct {
	pool     *pgxpool.Pool
	stopping atomic.Bool

	looking sync.Mutex // held while looking
	found   atomic.Pointer[finding]
}

type finding struct {
	httpapi.Readiness
	at time.Time
}

func newHealth(pool *pgxpool.Pool) *health { return &health{pool: pool} }

// stop makes every later check say that a shutdown has begun.
func (h *health) stop() { h.stopping.Store(true) }

// check looks at most once at a time: a probe that comes meanwhile gets the last
// finding, and waits only where there is none yet.
func (h *health) check(ctx context.Context) httpapi.Readiness {
	f := h.found.Load()
	switch {
	case f == nil:
		h.looking.Lock()
	case time.Since(f.at) <= healthCached || !h.looking.TryLock():
		return h.now(f)
	}
	defer h.looking.Unlock()
	// Somebody else may have looked while this one came.
	if f = h.found.Load(); f == nil || time.Since(f.at) > healthCached {
		f = &finding{h.look(ctx), time.Now()}
		h.found.Store(f)
	}
	return h.now(f)
}

func (h *health) now(f *finding) httpapi.Readiness {
	r := f.Readiness
	r.Shutdown = !h.stopping.Load()
	return r
}

func (h *health) look(ctx context.Context) httpapi.Readiness {
	// One prober that hangs up must not spoil the finding of the others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTimeout)
	defer cancel()
	pending, err := pgdb.Pending(ctx, h.pool)
	return httpapi.Readiness{Database: err == nil, Migrations: err == nil && len(pending) == 0}
}
