package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/authservice/authservice/internal/dbgen"
)

// run is one attempt at a job.
type run struct {
	id      int64
	attempt int16
}

type runKey struct{}

// End ends the job that ctx belongs to. In the transaction that does its work the
// job is done exactly once, as one happens if and only if the other does; on its
// own it is done sooner than by a return, which River notes together with those
// of other jobs. Outside of a job it does nothing. It fails where another process
// has taken the job over: a transaction must not be committed then.
func End(ctx context.Context, db dbgen.DBTX) error {
	r, ok := ctx.Value(runKey{}).(run)
	if !ok {
		return nil
	}
	ended, err := dbgen.New().JobEnd(ctx, db, dbgen.JobEndParams{ID: r.id, Attempt: r.attempt})
	if err != nil {
		return fmt.Errorf("ending the job: %w", err)
	}
	if ended == 0 {
		return errors.New("another process has taken the job over")
	}
	return nil
}
