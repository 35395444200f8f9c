package jobs

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// watcher keeps what it is told.
type watcher struct {
	mu       sync.Mutex
	resumed  []map[string]string
	outcomes []string
	attempts []int
}

type carriedCtx struct{}

func (w *watcher) Carry(ctx context.Context) map[string]string {
	if what, ok := ctx.Value(carriedCtx{}).(string); ok {
		return map[string]string{"what": what}
	}
	return nil
}

func (w *watcher) Resume(ctx context.Context, carried map[string]string) context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resumed = append(w.resumed, carried)
	return context.WithValue(ctx, carriedCtx{}, carried["what"])
}

func (w *watcher) Begin(ctx context.Context, kind string, id int64, attempt int) (context.Context, func(string, error)) {
	return ctx, func(outcome string, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if (err == nil) != (outcome == OutcomeDone) || id == 0 {
			outcome = "odd"
		}
		w.outcomes = append(w.outcomes, kind+" "+outcome)
		w.attempts = append(w.attempts, attempt)
	}
}

func (w *watcher) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.outcomes
}

// A job knows where it comes from, and whoever watches what becomes of it.
func TestWatcher(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args Args
		do   func() error
		want string
	}{
		"Done":   {note{}, func() error { return nil }, "note done"},
		"Retry":  {note{}, func() error { return errors.New("no") }, "note retry"},
		"Failed": {once{}, func() error { return errors.New("no") }, "once failed"},
		"Moot":   {note{}, func() error { return Moot(errors.New("gone")) }, "note moot"},
		"Final":  {note{}, func() error { return Final(errors.New("never")) }, "note failed"},
		"Panic":  {once{}, func() error { panic("oh") }, "once failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, w := setup(t), &watcher{}
			q := b.queue(t, func(o *Options) { o.Watcher = w })
			var found any
			do := func(ctx context.Context) error { found = ctx.Value(carriedCtx{}); return test.do() }
			Handle(q, func(ctx context.Context, _ note) error { return do(ctx) })
			Handle(q, func(ctx context.Context, _ once) error { return do(ctx) })
			ctx := context.WithValue(t.Context(), carriedCtx{}, "from here")
			require.NoError(t, pgx.BeginFunc(ctx, b.db.Pool, func(tx pgx.Tx) error { return q.Enqueue(ctx, tx, test.args) }))
			start(t, q)
			eventually(t, func() bool { return len(w.told()) > 0 }, "the job ends")
			require.Equal(t, test.want, w.told()[0])
			require.Equal(t, "from here", found)
			require.Equal(t, 1, w.attempts[0])
		})
	}
	t.Run("Periodic", func(t *testing.T) {
		t.Parallel()
		b, w := setup(t), &watcher{}
		q := b.queue(t, func(o *Options) { o.Watcher = w })
		q.Every("clean", time.Hour, func(context.Context) error { return nil })
		start(t, q)
		eventually(t, func() bool { return len(w.told()) > 0 }, "it runs")
		require.Equal(t, "every:clean done", w.told()[0])
	})
}

func TestQueue_Counts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	counts, err := q.Counts(t.Context())
	require.NoError(t, err)
	require.Empty(t, counts)
	b.enqueue(t, q, note{}, note{}, once{})
	b.exec(t, "UPDATE river_job SET state = 'completed', finalized_at = now() WHERE kind = 'once'")
	b.exec(t, "UPDATE river_job SET scheduled_at = '2026-01-01' WHERE id = (SELECT min(id) FROM river_job WHERE kind = 'note')")
	counts, err = q.Counts(t.Context())
	require.NoError(t, err)
	require.Equal(t, []Count{{Kind: "note", State: "available", Jobs: 2, Oldest: counts[0].Oldest}}, counts)
	require.Equal(t, 2026, counts[0].Oldest.Year())
	require.Equal(t, time.January, counts[0].Oldest.Month())
}
