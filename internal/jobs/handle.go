package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// Option is a rule for the jobs of one kind.
type Option func(*rules)

type rules struct{ timeout time.Duration }

// Timeout is how long one attempt may take, in place of DefaultTimeout. Its
// context ends then, and the attempt has failed.
func Timeout(d time.Duration) Option { return func(r *rules) { r.timeout = d } }

// Handle says how jobs with arguments of type T are done. An error or a panic
// means another attempt, later and later, unless it is Moot or Final. It panics when the
// kind is handled already or q was started: both are mistakes in the program.
func Handle[T Args](q *Queue, do func(context.Context, T) error, o ...Option) {
	var kind T
	handle(q, kind, do, o)
}

// Moot marks an error of a handler that says that there is nothing to do any
// more: the job is done.
func Moot(err error) error { return moot{err} }

// IsMoot tells whether an error was marked by Moot.
func IsMoot(err error) bool { return errors.As(err, new(moot)) }

type moot struct{ error }

// Unwrap returns what was marked.
func (m moot) Unwrap() error { return m.error }

// Final marks an error of a handler that no further attempt would mend: the job
// has failed, and is not tried again.
func Final(err error) error { return river.JobCancel(err) }

// Every has do called at intervals by one replica at a time, for the first time
// within seconds of the start. Runs never overlap: one that takes longer than
// the interval delays the next. One that fails is not repeated, the next is its
// retry; who cannot wait so long repeats by itself.
func (q *Queue) Every(name string, interval time.Duration, do func(context.Context) error, o ...Option) {
	args := tick{name: name}
	handle(q, args, func(ctx context.Context, _ tick) error { return do(ctx) }, o)
	insert := &river.InsertOpts{
		MaxAttempts: 1,
		Priority:    priorityPeriodic,
		UniqueOpts:  river.UniqueOpts{ByState: unfinished},
	}
	q.periodic = append(q.periodic, river.NewPeriodicJob(
		river.PeriodicInterval(interval),
		func() (river.JobArgs, *river.InsertOpts) { return args, insert },
		&river.PeriodicJobOpts{RunOnStart: true},
	))
}

// unfinished are the states of a job that is yet to end.
var unfinished = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
	rivertype.JobStateRunning, rivertype.JobStateScheduled,
}

// tick is one run of what Every names. Each has a kind of its own, so that a
// process which does not know it leaves it alone.
type tick struct{ name string }

// Kind implements river.JobArgs.
func (t tick) Kind() string { return "every:" + t.name }

func handle[T Args](q *Queue, kind T, do func(context.Context, T) error, options []Option) {
	r := rules{timeout: DefaultTimeout}
	for _, set := range options {
		set(&r)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running != nil {
		panic("jobs: " + kind.Kind() + " comes after Start")
	}
	q.longest = max(q.longest, r.timeout)
	river.AddWorkerArgs(q.workers, kind, &worker[T]{do: do, timeout: r.timeout, log: q.o.Log, watcher: q.o.Watcher})
}

type worker[T Args] struct {
	river.WorkerDefaults[T]
	do      func(context.Context, T) error
	timeout time.Duration
	log     *slog.Logger
	watcher Watcher
}

// Timeout implements river.Worker.
func (w *worker[T]) Timeout(*river.Job[T]) time.Duration { return w.timeout }

// Work implements river.Worker.
func (w *worker[T]) Work(ctx context.Context, job *river.Job[T]) error {
	ctx = context.WithValue(ctx, runKey{}, run{id: job.ID, attempt: int16(job.Attempt)}) //nolint:gosec // at most MaxAttempts
	ctx = resume(ctx, w.watcher, job.JobRow)
	err := attempt(ctx, w.watcher, job.JobRow, func(ctx context.Context) error { return w.do(ctx, job.Args) })
	final := new(river.JobCancelError)
	switch {
	case IsMoot(err):
		w.log.InfoContext(ctx, "a job was moot", "job", job.Kind, "job_id", job.ID, "attempt", job.Attempt, "reason", err)
		return nil
	case errors.As(err, &final):
		w.log.WarnContext(ctx, "a job failed for good", "job", job.Kind, "job_id", job.ID, "attempt", job.Attempt, "error", final.Unwrap())
	}
	return err
}
