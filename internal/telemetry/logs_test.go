package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
)

// someLines logs one line of each level and shape.
func someLines(t *testing.T, log *slog.Logger) {
	t.Helper()
	ctx := t.Context()
	log.DebugContext(ctx, "looking", "path", "/tmp/a b")
	log.InfoContext(ctx, "ready", "url", "http://127.0.0.1:8080", "event.duration", 1500*time.Millisecond, "n", 3, "at", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	log.WarnContext(ctx, "two\nlines", "quote", `"`, "control", "\x1b[31m\u009b", "html", "<a&b>", "nothing", "")
	log.ErrorContext(ctx, "failed", "error", errors.New("the cause"), "list", []string{"a", "b"}, "ip", netip.MustParseAddr("::1"), "err2", nil)
	log.WithGroup("request").With("id", "abc").InfoContext(ctx, "done", "count", 7, slog.Group("http", "level", 7, "msg", "m", "time", 1))
	log.ErrorContext(ctx, "broken", "error.stack_trace", "a.b\n\t/a/b.go:1\nc.d\n\t/c/d.go:2\n")
}

const jsonLines = `{"@timestamp":"TIME","log.level":"debug","message":"looking",COMMON,"authservice.path":"/tmp/a b","event.sequence":1}
{"@timestamp":"TIME","log.level":"info","message":"ready",COMMON,"authservice.url":"http://127.0.0.1:8080","event.duration":1500000000,"authservice.n":3,"authservice.at":"2026-01-02T03:04:05Z","event.sequence":2}
{"@timestamp":"TIME","log.level":"warn","message":"two\nlines",COMMON,"authservice.quote":"\"","authservice.control":"\\u001b[31m\\u009b","authservice.html":"<a&b>","authservice.nothing":"","event.sequence":3}
{"@timestamp":"TIME","log.level":"error","message":"failed",COMMON,"error.message":"the cause","authservice.list":["a","b"],"authservice.ip":"::1","authservice.err2":null,"event.sequence":4}
{"@timestamp":"TIME","log.level":"info","message":"done",COMMON,"request.id":"abc","request.count":7,"request.http":{"level":7,"msg":"m","time":1},"event.sequence":5}
{"@timestamp":"TIME","log.level":"error","message":"broken",COMMON,"error.stack_trace":"a.b\n\t/a/b.go:1\nc.d\n\t/c/d.go:2\n","event.sequence":6}
`

const textLines = `TIME DEBUG jobs    looking path="/tmp/a b"
TIME INFO  jobs    ready url=http://127.0.0.1:8080 event.duration=1.5s n=3 at=2026-01-02T03:04:05Z
TIME WARN  jobs    "two\nlines" quote="\"" control=\u001b[31m\u009b html=<a&b> nothing=""
TIME ERROR jobs    failed error="the cause" list="[\"a\",\"b\"]" ip=::1 err2=<nil>
TIME INFO  jobs    done request.id=abc request.count=7 request.http.level=7 request.http.msg=m request.http.time=1
TIME ERROR jobs    broken
    a.b
    	/a/b.go:1
    c.d
    	/c/d.go:2
`

var (
	jsonTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z`)
	textTime = regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d{3}`)
)

func TestLogs_JSON(t *testing.T) {
	t.Parallel()
	logs, out := newTestLogs(t, "debug", nil)
	before := time.Now()
	someLines(t, logs.Logger("jobs"))
	for _, text := range jsonTime.FindAllString(out.String(), -1) {
		at, err := time.Parse(time.RFC3339Nano, text)
		require.NoError(t, err)
		require.WithinRange(t, at, before, time.Now())
	}
	common := `"ecs.version":"8.17.0","service.name":"authservice","service.version":"v1.2.3","service.environment":"staging","service.node.name":"host-1","log.logger":"jobs"`
	got := strings.ReplaceAll(jsonTime.ReplaceAllString(out.String(), "TIME"), common, "COMMON")
	require.Equal(t, strings.Split(jsonLines, "\n"), strings.Split(got, "\n"))
	require.Len(t, out.lines(t), 6)
}

func TestLogs_Text(t *testing.T) {
	t.Parallel()
	logs, out := newTestLogs(t, "debug", func(o *LogOptions) { o.Text = true })
	someLines(t, logs.Logger("jobs"))
	require.Equal(t, textLines, textTime.ReplaceAllString(out.String(), "TIME"))
}

// A terminal gets the escape sequences that we write, and no others.
func TestLogs_Color(t *testing.T) {
	t.Parallel()
	logs, out := newTestLogs(t, "debug", func(o *LogOptions) { o.Text, o.Color = true, true })
	someLines(t, logs.Logger("jobs"))
	logs.Logger("jobs").InfoContext(t.Context(), "typed \\x1b[2J", "typed", "\\x1b[2J \x1b[2J \u202e\u0085", "\x1b[2J", 1)
	plain := regexp.MustCompile(`\x1b\[(2|31|32|33|0)m`).ReplaceAllString(out.String(), "")
	require.NotEqual(t, plain, out.String())
	for _, r := range plain {
		require.True(t, r == '\n' || r == '\t' || r >= ' ' && r < 0x7f, "%q", plain)
	}
}

func TestLogs_Levels(t *testing.T) {
	t.Parallel()
	logs, out := newTestLogs(t, "warn,jobs=debug,http=error", nil)
	count := func(room string) int {
		before := strings.Count(out.String(), "\n")
		log := logs.Logger(room)
		for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			log.Log(t.Context(), level, "line")
		}
		return strings.Count(out.String(), "\n") - before
	}
	require.Equal(t, 2, count("audit"))
	require.Equal(t, 4, count("jobs"))
	require.Equal(t, 1, count("http"))
	require.NoError(t, logs.levels.Set("info"))
	require.Equal(t, 3, count("jobs"), "loggers that were made before follow")

	require.EqualValues(t, 1, logs.Written(slog.LevelDebug))
	require.EqualValues(t, 2, logs.Written(slog.LevelInfo))
	require.EqualValues(t, 3, logs.Written(slog.LevelWarn))
	require.EqualValues(t, 4, logs.Written(slog.LevelError))
	require.Panics(t, func() { logs.Logger("nobody") })
}

// Lines say on whose behalf they were written.
func TestLogs_Context(t *testing.T) {
	t.Parallel()
	logs, out := newTestLogs(t, "info", nil)
	var w Work
	w.Identify(slog.String("http.request.id", "r-1"))
	ctx := WithWork(t.Context(), &w)
	ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	logs.Logger("ledger").InfoContext(ctx, "posted")
	line := out.lines(t)[0]
	require.Equal(t, "r-1", line["http.request.id"])
	require.Equal(t, "01000000000000000000000000000000", line["trace.id"])
	require.Equal(t, "0200000000000000", line["span.id"])
}

// Whatever format people read, what is shipped is JSON, and numbered without gaps.
func TestLogs_Ship(t *testing.T) {
	t.Parallel()
	for _, text := range []bool{false, true} {
		t.Run(fmt.Sprint("Text", text), func(t *testing.T) {
			t.Parallel()
			shipped := &lockedBuffer{}
			logs, out := newTestLogs(t, "info", func(o *LogOptions) { o.Text, o.Ship = text, shipped })
			logs.local().InfoContext(t.Context(), "about shipping")
			var all sync.WaitGroup
			const n = 50
			for range n {
				all.Go(func() { logs.Logger("http").InfoContext(t.Context(), "line") })
			}
			all.Wait()
			require.Equal(t, n+1, strings.Count(out.String(), "\n"), "everything is there")
			numbers := map[any]bool{}
			for _, line := range shipped.lines(t) {
				require.Equal(t, "line", line["message"])
				numbers[line["event.sequence"]] = true
			}
			require.Len(t, numbers, n)
			require.True(t, numbers[1.0] && numbers[float64(n)])
		})
	}
}

// However long what is logged is, a line has an end.
func TestLogs_Bounded(t *testing.T) {
	t.Parallel()
	logs, out := newTestLogs(t, "info", nil)
	long := strings.Repeat("\x00é", 1<<20)
	logs.Logger("http").InfoContext(t.Context(), long, "error.stack_trace", long, "url.path", long, "user_agent.original", long,
		"error", errors.New(long), "list", []string{long}, slog.Group("g", "s", long))
	require.Less(t, len(out.String()), 100<<10)
	line := out.lines(t)[0]
	require.Contains(t, line["url.path"], "(3145728 bytes)")
	require.True(t, json.Valid(bytes.TrimSpace([]byte(out.String()))))
}
