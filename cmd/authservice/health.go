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

	mu     sync.Mutex // held while looking: probes that come meanwhile wait for the finding
	found  httpapi.Readiness
	looked time.Time
}

func newHealth(pool *pgxpool.Pool) *health { return &health{pool: pool} }

// stop makes every later check say that a shutdown has begun.
func (h *health) stop() { h.stopping.Store(true) }

func (h *health) check(ctx context.Context) httpapi.Readiness {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.looked) > healthCached {
		h.found, h.looked = h.look(ctx), time.Now()
	}
	found := h.found
	found.Shutdown = !h.stopping.Load()
	return found
}

func (h *health) look(ctx context.Context) httpapi.Readiness {
	// One prober that hangs up must not spoil the finding of the others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTimeout)
	defer cancel()
	pending, err := pgdb.Pending(ctx, h.pool)
	return httpapi.Readiness{Database: err == nil, Migrations: err == nil && len(pending) == 0}
}
