package pgdb

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maxTries is how often a transaction is begun at the most.
const maxTries = 4

// InTx runs f in a transaction and commits, or rolls back when f fails. Where
// PostgreSQL broke the transaction off and asks for another try (a deadlock, a
// serialization failure), or again(err) says so, f is run again from the
// start, so that it must not keep anything from an earlier run.
func InTx(ctx context.Context, pool *pgxpool.Pool, f func(pgx.Tx) error, again ...func(error) bool) error {
	for try := 1; ; try++ {
		// The locking argument of the queries holds for this level; a database's default may be another.
		err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, f)
		if err == nil {
			return nil
		}
		if try == maxTries || !(Retryable(err) || isAny(err, again)) {
			return Classify(err)
		}
		select {
		case <-ctx.Done():
			return Classify(err)
		case <-time.After(rand.N(time.Duration(try) * 5 * time.Millisecond)): //nolint:gosec // only spreads tries
		}
	}
}

// Retryable says that PostgreSQL broke a transaction off and asks for another
// try: a serialization failure or a deadlock.
func Retryable(err error) bool {
	switch sqlState(err) {
	case "40001", "40P01":
		return true
	}
	return false
}

func isAny(err error, again []func(error) bool) bool {
	for _, is := range again {
		if is(err) {
			return true
		}
	}
	return false
}
