package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
)

func TestHandle(t *testing.T) {
	t.Parallel()

	t.Run("TriesAgainLater", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		q := b.queue(t)
		var c tally
		Handle(q, func(ctx context.Context, n note) error {
			require.NoError(t, c.work(ctx, n))
			if c.count() < 2 {
				return errors.New("no mail server")
			}
			return nil
		})
		start(t, q)
		b.enqueue(t, q, note{})
		eventually(t, func() bool { return b.state(t, "note") == "completed" }, "the job ends")
		require.Equal(t, 2, c.count())
		require.Greater(t, c.at[1].Sub(c.at[0]), 800*time.Millisecond) // a second, give or take a tenth
		require.Equal(t, DefaultAttempts, one[int](t, b, "SELECT max_attempts FROM river_job"))
		require.Len(t, b.log.lines("level=WARN", "job=note", "attempt=1", `error="no mail server"`), 1)
		require.Empty(t, b.log.lines("level=ERROR"))
	})

	t.Run("GivesUpAfterTheLastAttempt", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		q := b.queue(t)
		Handle(q, func(context.Context, once) error { return errors.New("never") })
		start(t, q)
		b.enqueue(t, q, once{})
		eventually(t, func() bool { return b.state(t, "once") == "discarded" }, "the job ends")
		require.Len(t, b.log.lines("level=ERROR", "job=once", "error=never"), 1)
	})

	t.Run("Moot", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		q := b.queue(t)
		reason := errors.New("the user is gone")
		require.ErrorIs(t, Moot(reason), reason)
		require.True(t, IsMoot(fmt.Errorf("sending: %w", Moot(reason))))
		require.False(t, IsMoot(reason))
		Handle(q, func(context.Context, note) error { return Moot(reason) })
		start(t, q)
		b.enqueue(t, q, note{})
		eventually(t, func() bool { return b.state(t, "note") == "completed" }, "the job ends")
		require.Equal(t, 1, one[int](t, b, "SELECT attempt FROM river_job"))
		require.Len(t, b.log.lines("level=INFO", "job=note", `reason="the user is gone"`), 1)
		b.log.requireCalm(t)
	})

	t.Run("Final", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		q := b.queue(t)
		reason := errors.New("nobody lives there")
		require.ErrorIs(t, Final(reason), reason)
		Handle(q, func(context.Context, note) error { return Final(reason) })
		start(t, q)
		b.enqueue(t, q, note{})
		eventually(t, func() bool { return b.state(t, "note") == "cancelled" }, "the job ends")
		require.Equal(t, 1, one[int](t, b, "SELECT attempt FROM river_job"))
		require.Contains(t, one[string](t, b, "SELECT errors[1]->>'error' FROM river_job"), reason.Error())
		require.Len(t, b.log.lines("level=WARN", "job=note", `error="nobody lives there"`), 1)
	})

	// Work that is a transaction is done exactly once.
	t.Run("EndsWithItsWork", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		q := b.queue(t)
		type outcome struct {
			end   error
			state string
		}
		seen := make(chan outcome, 1)
		inTx := func(ctx context.Context, between func()) error {
			return pgx.BeginFunc(ctx, b.db.Pool, func(tx pgx.Tx) error {
				between()
				if err := q.Enqueue(ctx, tx, once{}); err != nil {
					return err
				}
				err := End(ctx, tx)
				seen <- outcome{err, b.state(t, "note")}
				return err
			})
		}
		Handle(q, func(ctx context.Context, n note) error {
			if n.N == 1 {
				return inTx(ctx, func() {})
			}
			return inTx(ctx, func() { b.exec(t, "UPDATE river_job SET attempt = attempt + 1 WHERE kind = 'note'") })
		})
		start(t, q)

		b.enqueue(t, q, note{N: 1})
		require.Equal(t, outcome{nil, "running"}, <-seen, "not before the commit")
		eventually(t, func() bool { return b.state(t, "note") == "completed" }, "the job ends")
		require.Equal(t, 1, one[int](t, b, "SELECT count(*) FROM river_job WHERE kind = 'once'"))
		b.log.requireCalm(t)

		b.exec(t, "DELETE FROM river_job WHERE kind = 'note'")
		b.enqueue(t, q, note{N: 2})
		require.Error(t, (<-seen).end, "it was taken for lost, and is another's")
		require.Equal(t, 1, one[int](t, b, "SELECT count(*) FROM river_job WHERE kind = 'once'"), "undone")

		require.NoError(t, End(t.Context(), nil), "outside of a job")
	})

	t.Run("Panic", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		q := b.queue(t)
		var c tally
		Handle(q, func(ctx context.Context, n note) error {
			require.NoError(t, c.work(ctx, n))
			if c.count() == 1 {
				panic("nobody thought of this")
			}
			return nil
		})
		start(t, q)
		b.enqueue(t, q, note{})
		eventually(t, func() bool { return b.state(t, "note") == "completed" }, "the job ends")
		require.Len(t, b.log.lines("job=note", "panic: nobody thought of this", "handle_test.go"), 1)
	})

	t.Run("Timeout", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		q := b.queue(t)
		left := make(chan time.Duration, 2)
		deadline := func(ctx context.Context) error {
			at, _ := ctx.Deadline()
			left <- time.Until(at)
			return nil
		}
		Handle(q, func(ctx context.Context, _ note) error { return deadline(ctx) })
		Handle(q, func(ctx context.Context, _ once) error { return deadline(ctx) }, Timeout(time.Hour))
		start(t, q)
		b.enqueue(t, q, note{})
		require.InDelta(t, time.Minute, <-left, float64(10*time.Second))
		b.enqueue(t, q, once{})
		require.InDelta(t, time.Hour, <-left, float64(10*time.Second))
	})
}

// The attempts of a job that fails for ever must span about three days.
func TestDefaultAttempts(t *testing.T) {
	t.Parallel()
	var policy river.DefaultClientRetryPolicy
	var span time.Duration
	job := rivertype.JobRow{}
	for job.Attempt = 1; job.Attempt < DefaultAttempts; job.Attempt++ {
		span += time.Until(policy.NextRetry(&job))
		job.Errors = append(job.Errors, rivertype.AttemptError{})
	}
	require.InDelta(t, 3*24, span.Hours(), 12)
}

func TestQueue_Every(t *testing.T) {
	t.Parallel()

	t.Run("OnOneReplicaAtATime", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first, second := b.queue(t), b.queue(t)
		var quick, slow tally
		finish := make(chan struct{})
		for _, q := range []*Queue{first, second} {
			q.Every("quick", time.Second, func(context.Context) error { quick.enter(0); defer quick.leave(); return nil })
			q.Every("slow", time.Second, func(context.Context) error { slow.enter(0); defer slow.leave(); <-finish; return nil })
		}
		start(t, first, second)
		eventually(t, func() bool { return quick.count() >= 5 }, "it runs again and again")
		require.Greater(t, quick.at[4].Sub(quick.at[0]), 3500*time.Millisecond, "two replicas would run it twice as often")
		require.Equal(t, 1, slow.count(), "no run begins while one is under way")
		require.Equal(t, 1, one[int](t, b, "SELECT count(*) FROM river_job WHERE kind = 'every:slow'"), "none waits either")
		close(finish)
		eventually(t, func() bool { return slow.count() > 1 }, "it goes on")
		require.Equal(t, 1, slow.most)

		// Whoever is left goes on, whichever of the two led.
		require.NoError(t, first.Stop(t.Context()))
		ran := quick.count()
		eventually(t, func() bool { return quick.count() > ran+1 }, "the other replica takes over")
		b.log.requireCalm(t)
	})

	t.Run("TheNextRunIsTheRetry", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		q := b.queue(t)
		var c tally
		q.Every("clean_up", 2*time.Second, func(context.Context) error {
			c.enter(0)
			if c.count() == 1 {
				return errors.New("locked")
			}
			return nil
		})
		start(t, q)
		eventually(t, func() bool { return c.count() == 2 }, "it runs again")
		require.Greater(t, c.at[1].Sub(c.at[0]), 1500*time.Millisecond)
		require.Equal(t, "discarded", one[string](t, b, "SELECT state::text FROM river_job ORDER BY id LIMIT 1"))
		require.Len(t, b.log.lines("level=ERROR", "job=every:clean_up", "error=locked"), 1)
	})

	t.Run("ComesBeforeAFlood", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		q := b.queue(t, func(o *Options) { o.Workers = 1 })
		var mu sync.Mutex
		var order []string
		did := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, what)
		}
		waiting := make(chan struct{})
		Handle(q, func(context.Context, note) error { <-waiting; did("note"); return nil })
		q.Every("tick", time.Hour, func(context.Context) error { did("tick"); return nil })
		b.enqueue(t, q, note{}, note{}, note{})
		start(t, q)
		eventually(t, func() bool { return b.state(t, "every:tick") == "available" }, "it is due")
		close(waiting)
		eventually(t, func() bool {
			return one[int](t, b, "SELECT count(*) FROM river_job WHERE state = 'completed'") == 4
		}, "the jobs end")
		require.Equal(t, []string{"note", "tick", "note", "note"}, order)
	})
}

// The service does not own its tables, so that River must not tend their indexes.
func TestQueue_NeverReindexes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	Handle(q, new(tally).work)
	start(t, q)
	eventually(t, func() bool { return len(b.log.lines("Reindexer: Scheduling first run")) > 0 }, "it leads")
	require.Len(t, b.log.lines("Reindexer: Scheduling first run", "next_run_at=292277"), 1)
}
