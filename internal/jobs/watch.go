package jobs

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// Watcher follows jobs for logs, metrics and traces.
type Watcher interface {
	// Carry returns what a job takes along of the context in which it is enqueued.
	Carry(ctx context.Context) map[string]string
	// Resume returns the context of a job that took this along.
	Resume(ctx context.Context, carried map[string]string) context.Context
	// Begin is called with that context before each attempt; what it returns is
	// called after it, with one of the outcomes, and why.
	Begin(ctx context.Context, kind string, id int64, attempt int) (context.Context, func(outcome string, err error))
}

// Outcomes of an attempt.
const (
	OutcomeDone   = "done"
	OutcomeRetry  = "retry"  // failed, and will be tried again
	OutcomeFailed = "failed" // for good
	OutcomeMoot   = "moot"
)

// nobody watches.
type nobody struct{}

func (nobody) Carry(context.Context) map[string]string { return nil }

func (nobody) Resume(ctx context.Context, _ map[string]string) context.Context { return ctx }

func (nobody) Begin(ctx context.Context, _ string, _ int64, _ int) (context.Context, func(string, error)) {
	return ctx, func(string, error) {}
}

// carriedKey is where what a job carries stands among its metadata.
const carriedKey = "carried"

// metadata is what River keeps beside a job's arguments.
func (q *Queue) metadata(ctx context.Context) []byte {
	carried := q.o.Watcher.Carry(ctx)
	if len(carried) == 0 {
		return nil
	}
	text, _ := json.Marshal(map[string]any{carriedKey: carried}) // strings always can
	return text
}

// resume returns the context of a job.
func resume(ctx context.Context, w Watcher, job *rivertype.JobRow) context.Context {
	var metadata struct {
		Carried map[string]string `json:"carried"`
	}
	_ = json.Unmarshal(job.Metadata, &metadata) // what is not ours is none
	return w.Resume(ctx, metadata.Carried)
}

var errPanic = errors.New("panic")

// attempt runs do as an attempt at a job that was resumed.
func attempt(ctx context.Context, w Watcher, job *rivertype.JobRow, do func(context.Context) error) error {
	ctx, ended := w.Begin(ctx, job.Kind, job.ID, job.Attempt)
	err := errPanic // unless do returns
	defer func() { ended(outcomeOf(job, err), err) }()
	err = do(ctx)
	return err
}

func outcomeOf(job *rivertype.JobRow, err error) string {
	switch final := new(river.JobCancelError); {
	case err == nil:
		return OutcomeDone
	case IsMoot(err):
		return OutcomeMoot
	case errors.As(err, &final), job.Attempt >= job.MaxAttempts:
		return OutcomeFailed
	}
	return OutcomeRetry
}
