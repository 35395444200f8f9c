package jobs

import (
	"context"
	"time"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// Count is how many jobs of a kind are in a state of River's.
type Count struct {
	Kind, State string
	Jobs        int64
	Oldest      time.Time // when the one that is longest due was due
}

// Counts counts the jobs of all replicas, but for those that are done.
func (q *Queue) Counts(ctx context.Context) ([]Count, error) {
	rows, err := dbgen.New().JobCount(ctx, q.pool)
	counts := make([]Count, len(rows))
	for i, row := range rows {
		counts[i] = Count(row)
	}
	return counts, pgdb.Classify(err)
}
