package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

const (
	// DefaultAttempts is how often a job is tried. River waits the fourth power
	// of the number of failures in seconds, which makes about three days of it.
	DefaultAttempts = 17
	// DefaultTimeout is how long one attempt may take.
	DefaultTimeout = time.Minute
	// DefaultWorkers is how many jobs one process does at once.
	DefaultWorkers = 8

	// rescueMargin is how long after its timeout a job that says nothing is taken
	// for that of a process which died.
	rescueMargin = 4 * time.Minute
	// cancelGrace is how long cancelled jobs have to return.
	cancelGrace = 5 * time.Second

	// KeepFailed is how long a job that failed for good can be looked at and tried
	// once more: a month, as people who run a service are away now and then.
	KeepFailed = 30 * 24 * time.Hour

	keepCompleted = time.Hour
	fetchCooldown = 10 * time.Millisecond
)

// Jobs that somebody enqueued come after those that are due at intervals: a
// flood of mails must not keep the house from being cleaned.
const (
	priorityPeriodic = 1
	priorityEnqueued = 2
)

// Args are what a job is about. They are stored as JSON; their Kind names the
// handler and must stay what it is across releases.
type Args = river.JobArgs

// Limited is implemented by Args that are not worth DefaultAttempts, or worth more.
type Limited interface {
	Args
	MaxAttempts() int
}

// Options of a Queue.
type Options struct {
	Log      *slog.Logger
	RiverLog *slog.Logger // for River's own lines; Log if nil
	Watcher  Watcher      // nil for none
	Workers  int          // how many jobs run at once in this process; DefaultWorkers for 0
	PollOnly bool         // for connections that cannot LISTEN, as of a pooler; jobs then start up to a second later
}

// Queue is the jobs of all replicas. Handle and Every say what this process
// does, before Start; a Queue that is never started only enqueues.
type Queue struct {
	pool     *pgxpool.Pool
	o        Options
	enqueuer *river.Client[pgx.Tx]

	mu       sync.Mutex
	workers  *river.Workers
	periodic []*river.PeriodicJob
	longest  time.Duration // of all timeouts
	running  *river.Client[pgx.Tx]
}

// New returns a queue on a migrated database, without reaching for it.
func New(pool *pgxpool.Pool, o Options) (*Queue, error) {
	o.Workers = cmp.Or(o.Workers, DefaultWorkers)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	o.RiverLog = cmp.Or(o.RiverLog, o.Log)
	if o.Watcher == nil {
		o.Watcher = nobody{}
	}
	enqueuer, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Logger:      slog.New(quiet{o.RiverLog.Handler()}),
		MaxAttempts: DefaultAttempts,
	})
	if err != nil {
		return nil, fmt.Errorf("making the queue: %w", err)
	}
	return &Queue{pool: pool, o: o, enqueuer: enqueuer, workers: river.NewWorkers(), longest: DefaultTimeout}, nil
}

// Enqueue adds jobs in the caller's transaction, however many in one statement:
// they run soon after the commit, or never if there is none.
func (q *Queue) Enqueue(ctx context.Context, tx pgx.Tx, all ...Args) error {
	if len(all) == 0 {
		return nil
	}
	inserts := make([]river.InsertManyParams, len(all))
	metadata := q.metadata(ctx)
	for i, args := range all {
		o := &river.InsertOpts{Priority: priorityEnqueued, Metadata: metadata}
		if limited, ok := args.(Limited); ok {
			o.MaxAttempts = limited.MaxAttempts()
		}
		inserts[i] = river.InsertManyParams{Args: args, InsertOpts: o}
	}
	if _, err := q.enqueuer.InsertManyTx(ctx, tx, inserts); err != nil {
		return fmt.Errorf("enqueuing jobs, the first of the kind %s: %w", all[0].Kind(), err)
	}
	return nil
}

// Start begins to work and returns. It may be called once. Only Stop ends the
// work: the end of ctx does not, because River would drop what runs.
func (q *Queue) Start(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running != nil {
		return errors.New("the jobs were started before")
	}
	client, err := river.NewClient(riverpgxv5.New(q.pool), &river.Config{
		Logger:       slog.New(quiet{q.o.RiverLog.Handler()}),
		ErrorHandler: reporter{q.o.Log, q.o.Watcher},
		Workers:      q.workers,
		Queues:       map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: q.o.Workers}},
		PeriodicJobs: q.periodic,
		PollOnly:     q.o.PollOnly,
		// Each fetch takes as many jobs as there are idle workers. River's 100 ms
		// between them would make that the speed, 80 jobs a second.
		FetchCooldown: fetchCooldown,

		JobTimeout:           DefaultTimeout,
		RescueStuckJobsAfter: q.longest + rescueMargin,
		// While a new release rolls out, its jobs are left for those who know them.
		FetchOnlyKnownKinds: true,

		CompletedJobRetentionPeriod: keepCompleted,
		CancelledJobRetentionPeriod: KeepFailed, // Final
		DiscardedJobRetentionPeriod: KeepFailed,
		// Only a table's owner may reindex it, and the service is not.
		ReindexerSchedule:   river.NeverSchedule(),
		ReindexerIndexNames: []string{},
	})
	if err != nil {
		return fmt.Errorf("setting up the jobs: %w", err)
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("starting the jobs: %w", err)
	}
	q.running = client
	return nil
}

// Stop takes no more jobs and waits for those that run. When ctx ends they are
// cancelled, and another process or the next one does them; Stop fails only if
// they do not return even so. A Queue that was never started is stopped already.
func (q *Queue) Stop(ctx context.Context) error {
	q.mu.Lock()
	client := q.running
	q.mu.Unlock()
	if client == nil || client.Stop(ctx) == nil {
		return nil
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelGrace)
	defer cancel()
	if err := client.StopAndCancel(grace); err != nil {
		return fmt.Errorf("stopping the jobs: %w", err)
	}
	return nil
}
