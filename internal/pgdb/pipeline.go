package pgdb

import (
	"context"
	"errors"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/authservice/authservice/internal/dbgen"
)

// Pipeline runs functions that make one query each, and sends all queries in
// one round trip. The queries run one after another, each seeing what those
// before it did; the first that fails ends the pipeline. Inside a transaction
// that this leaves broken, as any failed query does.
//
// Each function runs until it makes its query, is suspended until all have made
// theirs, and goes on with its result. A function that makes no query just runs.
func Pipeline(ctx context.Context, conn *pgx.Conn, functions ...func(dbgen.DBTX) error) error {
	batch := &pgx.Batch{}
	steps := make([]*step, len(functions))
	for i, f := range functions {
		s := &step{batch: batch}
		s.resume, s.stop = iter.Pull(func(yield func(struct{}) bool) {
			s.suspend = func() bool { return yield(struct{}{}) }
			s.err = f(s)
		})
		defer s.stop() //nolint:gocritic // when all have ended
		s.resume()
		if s.err != nil {
			return s.err
		}
		steps[i] = s
	}
	results := conn.SendBatch(ctx, batch)
	for _, s := range steps {
		s.results = results
		s.resume()
		if s.err != nil {
			return errors.Join(s.err, results.Close())
		}
	}
	return results.Close()
}

// step is one function's view of the database.
type step struct {
	batch   *pgx.Batch
	results pgx.BatchResults
	suspend func() bool
	resume  func() (struct{}, bool)
	stop    func()
	err     error
}

var errPipelineEnded = errors.New("the pipeline has ended before this query")

func (s *step) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if !s.queue(sql, args) {
		return pgconn.CommandTag{}, errPipelineEnded
	}
	return s.results.Exec()
}

func (s *step) Query(_ context.Context, sql string, args ...any) (pgx.Rows, error) {
	if !s.queue(sql, args) {
		return nil, errPipelineEnded
	}
	return s.results.Query()
}

func (s *step) QueryRow(_ context.Context, sql string, args ...any) pgx.Row {
	if !s.queue(sql, args) {
		return noRow{}
	}
	return s.results.QueryRow()
}

// queue adds the query, and returns when its result is there to be read.
func (s *step) queue(sql string, args []any) bool {
	s.batch.Queue(sql, args...)
	return s.suspend()
}

type noRow struct{}

func (noRow) Scan(...any) error { return errPipelineEnded }
