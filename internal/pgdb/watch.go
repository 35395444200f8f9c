package pgdb

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// errSilent is what becomes of everything that waits for a silent database.
var errSilent = errors.New("the database does not say anything")

// epoch is what monotonic times are counted from.
var epoch = time.Now()

// Watch tells a slow database from one that is gone. A network that swallows
// packets, a machine that stands still: nothing breaks then, everything waits.
// While it runs, it asks the database for a sign of life whenever there was none
// for a moment. When nothing at all has come for so long, on any connection, it
// hangs up: whoever waits is told at once, and so is whoever comes, until the
// database answers again.
type Watch struct {
	patience time.Duration
	log      *slog.Logger
	config   *pgx.ConnConfig // set by Open
	heard    atomic.Int64    // when the database last sent anything, since epoch

	mu sync.Mutex
	// answering ends when the database falls silent; another takes its place when
	// it answers again.
	answering context.Context //nolint:containedctx // a condition, not a request
	hangUp    context.CancelFunc
}

// NewWatch returns a watch that hangs up after patience; it does nothing before Run.
func NewWatch(patience time.Duration, log *slog.Logger) *Watch {
	w := &Watch{patience: patience, log: log}
	w.answering, w.hangUp = context.WithCancel(context.Background())
	return w
}

// spell is the time from one silence to the next.
func (w *Watch) spell() context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.answering
}

// Run watches the database of the pool that was opened with w, on a connection of
// its own, until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	interval := w.patience / 6
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var line *pgx.Conn
	defer func() { closeLine(ctx, line) }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked := time.Since(epoch)
		answering := w.spell().Err() == nil
		if answering && asked-time.Duration(w.heard.Load()) < interval {
			continue // it speaks without being asked
		}
		var err error
		line, err = w.ask(ctx, line)
		if ctx.Err() != nil {
			return
		}
		// A refusal is an answer as well: those who come will get it themselves. And
		// if it took much longer than that, it was this process that stood still.
		took := time.Since(epoch) - asked
		silent := err != nil && time.Duration(w.heard.Load()) < asked && w.patience <= took && took < 2*w.patience
		switch {
		case silent && answering:
			w.log.ErrorContext(ctx, "the database is silent: its connections are closed", "event.reason", ReasonSilent, "event.duration", w.patience)
			w.hangUp()
		case !silent && !answering:
			w.log.InfoContext(ctx, "the database answers again")
			w.mu.Lock()
			w.answering, w.hangUp = context.WithCancel(context.Background())
			w.mu.Unlock()
		}
	}
}

// ask gets an answer over the line, which it opens if need be. The line is nil
// where it broke.
func (w *Watch) ask(ctx context.Context, line *pgx.Conn) (*pgx.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, w.patience)
	defer cancel()
	if line == nil {
		return pgx.ConnectConfig(limited, w.config)
	}
	if err := line.Ping(limited); err != nil {
		closeLine(ctx, line)
		return nil, err
	}
	return line, nil
}

// closeLine does not wait for a server that may be gone.
func closeLine(ctx context.Context, line *pgx.Conn) {
	if line == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 100*time.Millisecond)
	defer cancel()
	_ = line.Close(ctx)
}
