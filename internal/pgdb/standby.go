package pgdb

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// standbyLook is how often it is asked how far the standby is.
	standbyLook = 500 * time.Millisecond
	// standbyPatience is how long that may take.
	standbyPatience = 2 * time.Second
)

// Standby is the database for reads that tolerate to be late: those of a standby
// that has replayed all that was written before maxLag, else those of the primary.
// It is a dbgen.DBTX; queries that fail on the standby before they have brought a
// row are made on the primary. Nothing that is decided on may be read by it.
//
// When reads move from the primary back to the standby, what a caller has seen may
// not be there yet for as long as maxLag.
type Standby struct {
	primary, standby *pgxpool.Pool
	maxLag           time.Duration
	log              *slog.Logger

	near  atomic.Bool
	marks []mark // of Run, oldest first
}

// mark is how far the primary had written at a moment.
type mark struct {
	at  time.Time
	lsn int64
}

// OpenStandby makes a pool for a standby of primary without reaching for it, so
// that nobody depends on it. Before Run all reads are the primary's.
func OpenStandby(ctx context.Context, primary *pgxpool.Pool, url string, o PoolOptions, maxLag time.Duration, log *slog.Logger) (*Standby, error) {
	o.MinConns = 0
	pool, err := newPool(ctx, url, o)
	if err != nil {
		return nil, err
	}
	return &Standby{primary: primary, standby: pool, maxLag: maxLag, log: log}, nil
}

// Close closes the connections to the standby.
func (s *Standby) Close() { s.standby.Close() }

// Near reports whether reads go to the standby.
func (s *Standby) Near() bool { return s.near.Load() }

// Run looks after the standby until ctx ends.
func (s *Standby) Run(ctx context.Context) {
	tick := time.NewTicker(standbyLook)
	defer tick.Stop()
	for first, was := true, false; ; first = false {
		near, err := s.look(ctx)
		if ctx.Err() != nil {
			return
		}
		s.near.Store(near)
		switch {
		case near && !was:
			s.log.InfoContext(ctx, "the standby is near: reads that tolerate it go there")
		case !near && (was || first && err != nil):
			s.log.WarnContext(ctx, "the standby is away or late: all reads go to the primary", "error", err)
		}
		was = near
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look reports whether the standby has replayed what the primary had written
// maxLag ago. Clocks do not matter for that, and a standby that has lost its
// primary is found out, although it does not know.
func (s *Standby) look(ctx context.Context) (near bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, standbyPatience)
	defer cancel()
	// A primary that does not answer writes nothing either.
	if written, err := position(ctx, s.primary); err == nil {
		s.marks = append(s.marks, mark{time.Now(), written})
	}
	replayed, err := position(ctx, s.standby)
	if err != nil {
		return false, err
	}
	// Of the marks that are old enough the newest counts, and those before it never again.
	for len(s.marks) > 1 && time.Since(s.marks[1].at) >= s.maxLag {
		s.marks = s.marks[1:]
	}
	return len(s.marks) > 0 && replayed >= s.marks[0].lsn, nil
}

// position is how far a server has written or, a standby, replayed.
func position(ctx context.Context, pool *pgxpool.Pool) (lsn int64, err error) {
	err = pool.QueryRow(ctx, `SELECT pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0')::bigint`).Scan(&lsn)
	if err != nil {
		return 0, fmt.Errorf("asking how far it is: %w", err)
	}
	return lsn, nil
}

// Exec implements dbgen.DBTX.
func (s *Standby) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return s.primary.Exec(ctx, sql, args...)
}

// Query implements dbgen.DBTX.
func (s *Standby) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	again := func() (pgx.Rows, error) { return s.primary.Query(ctx, sql, args...) }
	if !s.near.Load() {
		return again()
	}
	rows, err := s.standby.Query(ctx, sql, args...)
	if s.failed(err) {
		return again()
	}
	return &standbyRows{Rows: rows, s: s, again: again}, err
}

// QueryRow implements dbgen.DBTX.
func (s *Standby) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if !s.near.Load() {
		return s.primary.QueryRow(ctx, sql, args...)
	}
	return standbyRow{s.standby.QueryRow(ctx, sql, args...), s, func() pgx.Row { return s.primary.QueryRow(ctx, sql, args...) }}
}

// failed reports whether a query that failed with err may do better on the primary.
// Where the standby itself is at fault, nobody is sent there until it has been
// looked at again.
func (s *Standby) failed(err error) bool {
	switch passing(err) {
	case "", ReasonStatement: // it would take as long there
		return false
	case ReasonConflict, ReasonTimeout: // it stood in the way of the replay, or did not get a connection
		return true
	}
	s.near.Store(false)
	return true
}

type standbyRows struct {
	pgx.Rows
	s     *Standby
	again func() (pgx.Rows, error) // nil once there was a row, or it was done
	err   error                    // of again
}

// Next implements pgx.Rows.
func (r *standbyRows) Next() bool {
	if r.Rows.Next() {
		r.again = nil
		return true
	}
	if r.again == nil || !r.s.failed(r.Rows.Err()) {
		return false
	}
	rows, err := r.again()
	if r.again = nil; err != nil {
		r.err = err
		return false
	}
	r.Rows = rows
	return rows.Next()
}

// Err implements pgx.Rows.
func (r *standbyRows) Err() error {
	if r.err != nil {
		return r.err
	}
	return r.Rows.Err()
}

type standbyRow struct {
	pgx.Row
	s     *Standby
	again func() pgx.Row
}

// Scan implements pgx.Row.
func (r standbyRow) Scan(dest ...any) error {
	err := r.Row.Scan(dest...)
	if r.s.failed(err) {
		return r.again().Scan(dest...)
	}
	return err
}
