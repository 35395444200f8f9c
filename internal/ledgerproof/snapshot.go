package ledgerproof

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// pageSize is how many rows of a table are read at once. Two pages of each are
// in memory at the most.
const pageSize = 2000

// snapshot is the database at a moment. One goroutine has its connection, and
// reads ahead while the rows that were read are looked at.
type snapshot struct {
	ctx   context.Context //nolint:containedctx // the snapshot lasts for one call
	r     reader
	queue chan func()
	ended chan struct{}
	// failed is why nothing more can be read: PostgreSQL ends the transaction with
	// the first error. The goroutine's alone.
	failed error
}

// reader is what that goroutine reads with.
type reader struct {
	*dbgen.Queries
	db   dbgen.DBTX
	size int32 // of a page
}

func newSnapshot(ctx context.Context, db dbgen.DBTX, size int32) *snapshot {
	// Each stream waits for one page at the most, and the verifier for one answer.
	s := &snapshot{ctx: ctx, r: reader{dbgen.New(), db, size}, queue: make(chan func(), 16), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		for read := range s.queue {
			read()
		}
	}()
	return s
}

// close returns when the connection is free again.
func (s *snapshot) close() {
	close(s.queue)
	<-s.ended
}

// run is for the goroutine.
func (s *snapshot) run(what string, read func(context.Context, reader) error) error {
	if s.failed == nil {
		s.failed = unreadable(what, read(s.ctx, s.r))
	}
	return s.failed
}

// ask reads something at once.
func (s *snapshot) ask(what string, read func(context.Context, reader) error) error {
	done := make(chan error, 1)
	s.queue <- func() { done <- s.run(what, read) }
	return <-done
}

// unreadable tells values that nobody can have written by way of the ledger from
// a database that does not answer.
func unreadable(what string, err error) error {
	var (
		found *Break
		value pgx.ScanArgError
		pg    *pgconn.PgError
	)
	switch {
	case err == nil, errors.As(err, &found):
		return err
	case errors.As(err, &value):
		return broken(what, "a value cannot be read: %v", value)
	case errors.As(err, &pg) && pg.Code[:2] == "22":
		return broken(what, "a value cannot be read: %s", pg.Message)
	}
	return pgdb.Classify(fmt.Errorf("reading %s: %w", what, err))
}

// stream is the rows of a table in the order of their accounts.
type stream[R any] struct {
	s       *snapshot
	what    string
	read    pageReader[R]
	page    []R
	pending chan pageOf[R] // nil after the last page
}

// pageReader reads the page after a row; after the zero row, the first.
type pageReader[R any] func(ctx context.Context, r reader, after R) ([]R, error)

type pageOf[R any] struct {
	rows []R
	err  error
}

func newStream[R any](s *snapshot, what string, read pageReader[R]) *stream[R] {
	st := &stream[R]{s: s, what: what, read: read, pending: make(chan pageOf[R], 1)}
	var none R
	st.request(none)
	return st
}

func (st *stream[R]) request(after R) {
	st.s.queue <- func() {
		var page pageOf[R]
		page.err = st.s.run(st.what, func(ctx context.Context, r reader) (err error) {
			page.rows, err = st.read(ctx, r, after)
			return err
		})
		st.pending <- page
	}
}

// peek returns the next row, nil after the last.
func (st *stream[R]) peek() (*R, error) {
	if len(st.page) == 0 && st.pending != nil {
		page := <-st.pending
		if page.err != nil {
			return nil, page.err
		}
		if st.page = page.rows; len(page.rows) < int(st.s.r.size) {
			st.pending = nil
		} else {
			st.request(page.rows[len(page.rows)-1])
		}
	}
	if len(st.page) == 0 {
		return nil, nil //nolint:nilnil // the end is no error
	}
	return &st.page[0], nil
}

// skip goes on to the row after the one that peek returned.
func (st *stream[R]) skip() { st.page = st.page[1:] }
