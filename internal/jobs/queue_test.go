package jobs

import (
	"context"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestQueue_Enqueue(t *testing.T) {
	t.Parallel()

	t.Run("OnlyWhatIsCommitted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		command, service := b.queue(t), b.queue(t) // a command enqueues, and ends
		var c tally
		Handle(service, c.work)
		start(t, service)

		tx, err := b.db.Pool.Begin(t.Context())
		require.NoError(t, err)
		require.NoError(t, command.Enqueue(t.Context(), tx, note{N: 1}))
		require.NoError(t, tx.Rollback(t.Context()))
		b.enqueue(t, command, note{N: 2})

		eventually(t, func() bool { return b.state(t, "note") == "completed" }, "the job ends")
		require.Equal(t, map[int]int{2: 1}, c.runs)
		b.log.requireCalm(t)
	})

	t.Run("FailsWithTheTransaction", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		tx, err := b.db.Pool.Begin(t.Context())
		require.NoError(t, err)
		require.NoError(t, tx.Rollback(t.Context()))
		require.ErrorIs(t, b.queue(t).Enqueue(t.Context(), tx, note{}), pgx.ErrTxClosed)
	})

	t.Run("ManyInOneStatement", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		q := b.queue(t)
		require.NoError(t, pgx.BeginFunc(t.Context(), b.db.Pool, func(tx pgx.Tx) error {
			if err := q.Enqueue(t.Context(), tx); err != nil {
				return err // nothing is nothing
			}
			return q.Enqueue(t.Context(), tx, note{N: 1}, once{}, note{N: 2})
		}))
		require.Equal(t, 1, one[int](t, b, "SELECT count(DISTINCT cmin::text) FROM river_job"), "by one command of the transaction")
		require.Equal(t, "{note,once,note}", one[string](t, b, "SELECT array_agg(kind ORDER BY id)::text FROM river_job"))
		require.Equal(t, "{17,1,17}", one[string](t, b, "SELECT array_agg(max_attempts ORDER BY id)::text FROM river_job"))
	})

	t.Run("OnceEachOnTwoReplicas", func(t *testing.T) {
		t.Parallel()
		const n = 200
		b := setup(t)
		first, second := b.queue(t), b.queue(t)
		var c, cFirst, cSecond tally
		Handle(first, func(ctx context.Context, a note) error { cFirst.enter(a.N); return c.work(ctx, a) })
		Handle(second, func(ctx context.Context, a note) error { cSecond.enter(a.N); return c.work(ctx, a) })
		start(t, first, second)
		for i := range n {
			b.enqueue(t, first, note{N: i})
		}
		eventually(t, func() bool {
			return one[int](t, b, "SELECT count(*) FROM river_job WHERE state = 'completed'") == n
		}, "all jobs end")
		require.Len(t, c.runs, n)
		for i, runs := range c.runs {
			require.Equal(t, 1, runs, i)
		}
		require.NotZero(t, cFirst.count())
		require.NotZero(t, cSecond.count())
		b.log.requireCalm(t)
	})

	t.Run("LeavesUnknownKindsAlone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		q := b.queue(t)
		var c tally
		Handle(q, c.work)
		b.enqueue(t, q, once{}, note{}) // once comes first, and nobody knows it
		start(t, q)
		eventually(t, func() bool { return b.state(t, "note") == "completed" }, "the known job ends")
		require.Equal(t, "available", b.state(t, "once"))
		require.Zero(t, one[int](t, b, "SELECT attempt FROM river_job WHERE kind = 'once'"))
	})

	t.Run("PollOnly", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		q := b.queue(t, func(o *Options) { o.PollOnly = true })
		var c tally
		Handle(q, c.work)
		start(t, q)
		b.enqueue(t, q, note{})
		eventually(t, func() bool { return b.state(t, "note") == "completed" }, "the job ends")
		require.Zero(t, b.listeners(t))
		b.log.requireCalm(t)
	})
}

func TestQueue_Start(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	Handle(q, new(tally).work)
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, q.Start(ctx))
	require.Error(t, q.Start(ctx))
	require.PanicsWithValue(t, "jobs: once comes after Start", func() { Handle(q, func(context.Context, once) error { return nil }) })

	// The end of the context that it was started with is not the end of the work.
	cancel()
	for n := range 3 {
		b.enqueue(t, q, note{N: n})
		eventually(t, func() bool {
			return one[int](t, b, "SELECT count(*) FROM river_job WHERE state = 'completed'") == n+1
		}, "the job ends")
	}
	require.Empty(t, b.log.lines("Stopping producers"))
	b.log.requireCalm(t)
}

func TestQueue_Stop(t *testing.T) {
	t.Parallel()

	t.Run("NeverStarted", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, setup(t).queue(t).Stop(t.Context()))
	})

	t.Run("WaitsForWhatRuns", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		q := b.queue(t)
		began, finish := make(chan struct{}), make(chan struct{})
		Handle(q, func(ctx context.Context, _ note) error {
			close(began)
			select {
			case <-finish:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		start(t, q)
		b.enqueue(t, q, note{})
		<-began
		stopped := make(chan error, 1)
		go func() { stopped <- q.Stop(context.Background()) }()
		// Nothing new is begun from here on.
		eventually(t, func() bool { return len(b.log.lines("Stopping producers")) > 0 }, "it stops")
		b.enqueue(t, q, once{})
		require.Empty(t, stopped)
		close(finish)
		require.NoError(t, <-stopped)
		require.Equal(t, "completed", b.state(t, "note"))
		require.Equal(t, "available", b.state(t, "once"))
		b.log.requireCalm(t)
	})

	t.Run("CancelsWhatTakesTooLong", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first := b.queue(t)
		began := make(chan struct{})
		Handle(first, func(ctx context.Context, _ note) error {
			close(began)
			<-ctx.Done()
			return ctx.Err()
		})
		start(t, first)
		b.enqueue(t, first, note{})
		<-began
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		require.NoError(t, first.Stop(ctx))
		require.Equal(t, "available", b.state(t, "note"))
		require.Zero(t, one[int](t, b, "SELECT attempt FROM river_job"), "an attempt that was cut short does not count")

		second := b.queue(t)
		var c tally
		Handle(second, c.work)
		start(t, second)
		eventually(t, func() bool { return b.state(t, "note") == "completed" }, "another replica does it")
	})

	t.Run("GivesUpOnTheDeaf", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		q := b.queue(t)
		began, finish := make(chan struct{}), make(chan struct{})
		Handle(q, func(context.Context, note) error { close(began); <-finish; return nil })
		start(t, q)
		b.enqueue(t, q, note{})
		<-began
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, q.Stop(ctx), context.DeadlineExceeded)
		close(finish)
	})

	t.Run("LeavesNothingBehind", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		q := b.queue(t)
		var c tally
		Handle(q, c.work)
		q.Every("tick", time.Second, func(context.Context) error { return nil })
		// Goroutines inherit the labels of the one that starts them.
		pprof.Do(t.Context(), pprof.Labels("queue", t.Name()), func(ctx context.Context) { require.NoError(t, q.Start(ctx)) })
		b.enqueue(t, q, note{})
		eventually(t, func() bool { return b.state(t, "note") == "completed" && b.state(t, "every:tick") == "completed" }, "the jobs end")
		require.Positive(t, goroutines(t.Name()))
		require.Equal(t, 1, b.listeners(t))

		require.NoError(t, q.Stop(t.Context()))
		eventually(t, func() bool { return goroutines(t.Name()) == 0 }, "no goroutine is left")
		b.db.Pool.Reset()
		eventually(t, func() bool {
			return one[int](t, b, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()") == 0
		}, "no connection is left")
		require.Zero(t, one[int](t, b, "SELECT count(*) FROM river_leader"), "the next leader need not wait")
		b.log.requireCalm(t)
		require.Empty(t, b.log.lines("level=INFO"), "nor is any of it news")
	})
}

// listeners counts the connections that wait for notifications.
func (b *bundle) listeners(t *testing.T) int {
	t.Helper()
	open := one[int](t, b, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user")
	return open - int(b.db.Pool.Stat().TotalConns())
}

func goroutines(label string) int {
	var profile strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1)
	return strings.Count(profile.String(), label)
}

func TestQueue_Outage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	began, finish := make(chan struct{}), make(chan struct{})
	var c tally
	Handle(q, c.work)
	Handle(q, func(context.Context, once) error { close(began); <-finish; return nil })
	start(t, q)
	b.enqueue(t, q, once{})
	<-began

	owner := b.db.Owner(t)
	database := pgx.Identifier{owner.Config().Database}.Sanitize()
	exec := func(sql string) {
		_, err := owner.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec("REVOKE CONNECT ON DATABASE " + database + " FROM PUBLIC")
	exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	close(finish) // while its end cannot be written down
	eventually(t, func() bool {
		return len(b.log.lines("Error fetching jobs")) > 1 && len(b.log.lines("Completer error")) > 0 &&
			len(b.log.lines("Error running listener")) > 0
	}, "it is noticed")
	require.Error(t, b.db.Pool.Ping(t.Context()))
	exec("GRANT CONNECT ON DATABASE " + database + " TO PUBLIC")

	eventually(t, func() bool { return b.db.Pool.Ping(t.Context()) == nil }, "it is back")
	b.enqueue(t, q, note{})
	eventually(t, func() bool { return b.state(t, "note") == "completed" && b.state(t, "once") == "completed" }, "the jobs end")
	require.Equal(t, 1, c.count())
	eventually(t, func() bool { return b.listeners(t) == 1 }, "it listens again")
	require.NoError(t, q.Stop(t.Context()))
}

// A process that was killed leaves a job that seems to run for ever.
func TestQueue_Rescue(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Minute
	b := setup(t)
	q := b.queue(t)
	var c tally
	Handle(q, c.work, Timeout(timeout))
	b.enqueue(t, q, note{N: 1}, note{N: 2})
	for n, ago := range map[int]time.Duration{1: timeout + rescueMargin + time.Second, 2: timeout + rescueMargin - time.Minute} {
		b.exec(t, `UPDATE river_job SET state = 'running', attempt = 1, attempted_by = '{gone}', attempted_at = now() - $2::interval
			WHERE args->>'n' = $1::int::text`, n, ago)
	}
	start(t, q)
	eventually(t, func() bool { return c.count() > 0 }, "it is started again")
	require.Equal(t, "running since attempt 1",
		one[string](t, b, "SELECT state || ' since attempt ' || attempt FROM river_job WHERE args->>'n' = '2'"), "the other one may still run")
}

// What jobs are about is not kept longer than somebody may want to look.
func TestQueue_Retention(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	Handle(q, new(tally).work)
	for state, kept := range map[string]time.Duration{"completed": keepCompleted, "cancelled": KeepFailed, "discarded": KeepFailed} {
		for kind, ago := range map[string]time.Duration{"old": kept + time.Minute, "young": kept - time.Minute} {
			b.exec(t, `INSERT INTO river_job (kind, args, state, finalized_at) VALUES ($1, '{}', $2::text::river_job_state, now() - $3::interval)`, kind, state, ago)
		}
	}
	start(t, q)
	eventually(t, func() bool { return one[int](t, b, "SELECT count(*) FROM river_job WHERE kind = 'old'") == 0 }, "the old ones go")
	require.Equal(t, 3, one[int](t, b, "SELECT count(*) FROM river_job"))
	b.log.requireCalm(t)
}
