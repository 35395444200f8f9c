package telemetry

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"
)

// Service is what every line and every span says of the process.
type Service struct {
	Name        string
	Version     string
	Environment string
	Node        string // tells the process from every other, also of the same host
}

// LogOptions are what NewLogs needs.
type LogOptions struct {
	Service Service
	Levels  *Levels
	Out     io.Writer
	Text    bool      // for people, in place of JSON
	Color   bool      // with Text
	Ship    io.Writer // gets every line as JSON, whatever Out gets; nil for none
}

// Logs makes the loggers.
type Logs struct {
	levels      *Levels
	here, there slog.Handler // there also ships
	sequence    atomic.Uint64
	written     [4]atomic.Uint64 // lines, by level; see levelIndex
}

// NewLogs returns what loggers have in common.
func NewLogs(o LogOptions) *Logs {
	service := []slog.Attr{
		slog.String("ecs.version", ecsVersion), slog.String("service.name", o.Service.Name), slog.String("service.version", o.Service.Version),
		slog.String("service.environment", o.Service.Environment), slog.String("service.node.name", o.Service.Node),
	}
	l := &Logs{levels: o.Levels}
	out := &lockedWriter{w: o.Out}
	if o.Text {
		l.here = newTextHandler(out, o.Color)
	} else {
		l.here = newJSONHandler(out).WithAttrs(service)
	}
	switch {
	case o.Ship == nil:
		l.there = l.here
	case o.Text:
		l.there = slog.NewMultiHandler(l.here, newJSONHandler(o.Ship).WithAttrs(service))
	default: // made once, written twice
		l.there = newJSONHandler(both{o.Ship, out}).WithAttrs(service)
	}
	return l
}

// lockedWriter keeps lines whole that several handlers write.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(line)
}

// both writes to two places, of which the first never fails.
type both struct{ first, second io.Writer }

func (b both) Write(line []byte) (int, error) {
	_, _ = b.first.Write(line)
	return b.second.Write(line)
}

// Logger returns the logger of one of Rooms.
func (l *Logs) Logger(room string) *slog.Logger { return l.logger(l.there, room, &l.sequence) }

// local returns the logger of what is to be said of shipping: its lines are not
// shipped, and have no number that would then be missed.
func (l *Logs) local() *slog.Logger { return l.logger(l.here, "telemetry", nil) }

func (l *Logs) logger(to slog.Handler, room string, sequence *atomic.Uint64) *slog.Logger {
	return slog.New(handler{
		logs: l, level: l.levels.of(room), sequence: sequence,
		next: to.WithAttrs([]slog.Attr{slog.String("log.logger", room)}),
	})
}

// Written is how many lines of a level were written.
func (l *Logs) Written(level slog.Level) uint64 { return l.written[levelIndex(level)].Load() }

func levelIndex(level slog.Level) int {
	return int(min(max(level, slog.LevelDebug), slog.LevelError)-slog.LevelDebug) / int(slog.LevelInfo-slog.LevelDebug)
}

// handler adds to each line what its context knows, and its number.
type handler struct {
	logs     *Logs
	level    *slog.LevelVar
	sequence *atomic.Uint64 // numbers the lines that are shipped; nil for others
	next     slog.Handler
	prefix   string // of groups, dotted
}

// Enabled implements slog.Handler.
func (h handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if h.prefix != "" {
		r = h.inGroup(r)
	}
	r.Time = r.Time.UTC()
	var space [8]slog.Attr
	more := space[:0]
	if w := workOf(ctx); w != nil {
		more = append(more, w.attrs...)
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		more = append(more, slog.String("trace.id", span.TraceID().String()), slog.String("span.id", span.SpanID().String()))
	}
	// Whoever receives the lines knows by it which are missing, and which came twice.
	if h.sequence != nil {
		more = append(more, slog.Uint64("event.sequence", h.sequence.Add(1)))
	}
	r.AddAttrs(more...)
	h.logs.written[levelIndex(r.Level)].Add(1)
	return h.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	named := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		named[i] = slog.Attr{Key: h.prefix + a.Key, Value: a.Value}
	}
	h.next = h.next.WithAttrs(named)
	return h
}

// WithGroup implements slog.Handler. Groups become parts of names, so that what
// is added here is in none.
func (h handler) WithGroup(name string) slog.Handler {
	if name != "" {
		h.prefix += name + "."
	}
	return h
}

func (h handler) inGroup(r slog.Record) slog.Record {
	named := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		named.AddAttrs(slog.Attr{Key: h.prefix + a.Key, Value: a.Value})
		return true
	})
	return named
}
