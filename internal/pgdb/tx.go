package pgdb

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/internal/apperr"
)

// maxTries is how often a transaction, or a read, is begun at the most.
const maxTries = 4

// InTx runs f in a transaction and commits, or rolls back when f fails. Where
// PostgreSQL broke the transaction off and asks for another try (a deadlock, a
// serialization failure), where the connection broke before the commit, or where
// again(err) says so, f is run again from the start, so that it must not keep
// anything from an earlier run. A connection that breaks during the commit leaves
// it unknown whether that happened: it is not tried again.
func InTx(ctx context.Context, pool *pgxpool.Pool, f func(pgx.Tx) error, again ...func(error) bool) error {
	for try := 1; ; try++ {
		committing := false
		var begun watchedTx
		// The locking argument of the queries holds for this level; a database's default may be another.
		err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
			begun.Tx = tx
			err := f(&begun)
			committing = err == nil
			return err
		})
		switch {
		case err == nil:
			begun.committed()
			return nil
		case committing && unknown(err):
			return apperr.UnavailableBecause(err).WithReason(ReasonUnknown)
		case try == maxTries || !Retryable(err) && !isAny(err, again):
			return Classify(err)
		}
		if !pause(ctx, try) {
			return Classify(err)
		}
	}
}

// Read runs f, which changes nothing, again where the connection broke under it.
func Read(ctx context.Context, f func() error) error {
	for try := 1; ; try++ {
		if err := f(); try == maxTries || !Lost(err) || !pause(ctx, try) {
			return err
		}
	}
}

// pause is what lies between a try and the next; it reports whether ctx lets it.
func pause(ctx context.Context, try int) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(rand.N(time.Duration(try) * 5 * time.Millisecond)): //nolint:gosec // only spreads tries
		return true
	}
}

// unknown reports whether a commit that failed with err may have happened all
// the same: no answer came, or only that the connection ends, be it a pooler's.
func unknown(err error) bool {
	silent := sqlState(err) == "" || Lost(err) || bySQLState(err) == ReasonConnectionOther
	return silent && !pgconn.SafeToRetry(err) && !errors.Is(err, pgx.ErrTxCommitRollback)
}

// Retryable reports whether what failed with err was not done, or may be done
// again if it was not being committed: PostgreSQL broke the transaction off and
// asks for another try, or the connection was lost.
func Retryable(err error) bool { return bySQLState(err) == ReasonConflict || Lost(err) }

func isAny(err error, again []func(error) bool) bool {
	for _, is := range again {
		if is(err) {
			return true
		}
	}
	return false
}
