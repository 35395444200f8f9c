package telemetry

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// Work is one request or one run of a job. Everything that is done for it adds
// to it through the context, and every line that is logged on its behalf carries
// its attributes.
type Work struct {
	attrs []slog.Attr
	space [4]slog.Attr // for attrs
	db    database
}

// Identify sets the attributes of the lines. It comes before WithWork.
func (w *Work) Identify(attrs ...slog.Attr) { w.attrs = append(w.space[:0], attrs...) }

// Database is what was asked of the database so far.
func (w *Work) Database() DatabaseUse { return w.db.use() }

type workKey struct{}

// WithWork returns a context for what is done for w.
func WithWork(ctx context.Context, w *Work) context.Context {
	return context.WithValue(ctx, workKey{}, w)
}

func workOf(ctx context.Context) *Work {
	w, _ := ctx.Value(workKey{}).(*Work)
	return w
}

// DatabaseUse is what some work asked of the database.
type DatabaseUse struct {
	Time       time.Duration // during which it waited for the database, a free connection included
	Statements int64         // that it sent
	Rows       int64         // that these returned or changed
}

func (u DatabaseUse) attrs() []slog.Attr {
	return []slog.Attr{
		slog.Duration("authservice.database.duration", u.Time), slog.Int64("authservice.database.statements", u.Statements), slog.Int64("authservice.database.rows", u.Rows),
	}
}

// database counts without a lock, as statements of one request may run at the
// same time; time during which several do counts once.
type database struct {
	running          atomic.Int64
	since            atomic.Int64 // when running became 1, in nanoseconds
	time             atomic.Int64 // nanoseconds
	statements, rows atomic.Int64
}

var epoch = time.Now()

func (d *database) begin() {
	if d.running.Add(1) == 1 {
		d.since.Store(int64(time.Since(epoch)))
	}
}

func (d *database) end(statements, rows int64) {
	since := d.since.Load()
	if d.running.Add(-1) == 0 {
		d.time.Add(int64(time.Since(epoch)) - since)
	}
	d.statements.Add(statements)
	d.rows.Add(rows)
}

func (d *database) add(u DatabaseUse) {
	d.time.Add(int64(u.Time))
	d.statements.Add(u.Statements)
	d.rows.Add(u.Rows)
}

func (d *database) use() DatabaseUse {
	return DatabaseUse{Time: time.Duration(d.time.Load()), Statements: d.statements.Load(), Rows: d.rows.Load()}
}
