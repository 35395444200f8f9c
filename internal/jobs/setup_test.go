package jobs

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// note is a job of the tests.
type note struct {
	N int `json:"n"`
}

func (note) Kind() string { return "note" }

// once is a job that is tried once.
type once struct{}

func (once) Kind() string     { return "once" }
func (once) MaxAttempts() int { return 1 }

// bundle is replicas on a database of their own.
type bundle struct {
	db  *pgtest.Database
	log *logbook
}

func setup(t *testing.T) *bundle {
	t.Helper()
	return &bundle{db: pgtest.New(t), log: &logbook{}}
}

// queue is a replica's; it is stopped when the test ends.
func (b *bundle) queue(t *testing.T, change ...func(*Options)) *Queue {
	t.Helper()
	o := Options{Log: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: lower(slog.LevelDebug)}))}
	for _, f := range change {
		f(&o)
	}
	q, err := New(b.db.Pool, o)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, q.Stop(ctx))
	})
	return q
}

func (b *bundle) enqueue(t *testing.T, q *Queue, args ...Args) {
	t.Helper()
	require.NoError(t, pgx.BeginFunc(t.Context(), b.db.Pool, func(tx pgx.Tx) error {
		for _, a := range args {
			if err := q.Enqueue(t.Context(), tx, a); err != nil {
				return err
			}
		}
		return nil
	}))
}

// state is that of the only job of a kind, empty for none.
func (b *bundle) state(t *testing.T, kind string) string {
	t.Helper()
	return one[string](t, b, "SELECT coalesce((SELECT state::text FROM river_job WHERE kind = $1), '')", kind)
}

// exec makes what would take too long to come about.
func (b *bundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	tag, err := b.db.Pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected(), sql)
}

func one[T any](t *testing.T, b *bundle, sql string, args ...any) T {
	t.Helper()
	rows, err := b.db.Pool.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return value
}

func start(t *testing.T, queues ...*Queue) {
	t.Helper()
	for _, q := range queues {
		require.NoError(t, q.Start(t.Context()))
	}
}

func eventually(t *testing.T, is func() bool, what string) {
	t.Helper()
	require.Eventually(t, is, 40*time.Second, 20*time.Millisecond, what)
}

// logbook keeps what is logged.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(line)
}

// lines returns those that hold all of the given parts.
func (l *logbook) lines(parts ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
lines:
	for line := range strings.Lines(l.buf.String()) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue lines
			}
		}
		found = append(found, line)
	}
	return found
}

// requireCalm fails if anything was worth a warning.
func (l *logbook) requireCalm(t *testing.T) {
	t.Helper()
	require.Empty(t, append(l.lines("level=WARN"), l.lines("level=ERROR")...))
}

// tally counts, and knows the most that ran at once.
type tally struct {
	mu               sync.Mutex
	runs             map[int]int
	now, most, total int
	at               []time.Time
}

func (c *tally) enter(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runs == nil {
		c.runs = map[int]int{}
	}
	c.runs[n]++
	c.total++
	c.now++
	c.most = max(c.most, c.now)
	c.at = append(c.at, time.Now())
}

func (c *tally) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now--
}

func (c *tally) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// work is a handler that is counted and always content.
func (c *tally) work(_ context.Context, n note) error {
	c.enter(n.N)
	defer c.leave()
	return nil
}
