package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/telemetry"
)

// someLines logs one line of each level and shape.
func someLines(log *slog.Logger) {
	log.Debug("looking", "path", "/tmp/a b")
	log.Info("ready", "url", "http://127.0.0.1:8080", "took", 1500*time.Millisecond, "n", 3)
	log.Warn("two\nlines", "quote", `"`, "control", "\x1b[31m", "html", "<a&b>")
	log.Error("failed", "error", errors.New("the cause"))
	log.WithGroup("request").With("id", "abc").Info("done", slog.Group("http", "level", 7, "msg", "m", "time", 1))
}

var times = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`)

const textLines = `time=TIME level=DEBUG msg=looking path="/tmp/a b"
time=TIME level=INFO msg=ready url=http://127.0.0.1:8080 took=1.5s n=3
time=TIME level=WARN msg="two\nlines" quote="\"" control="\x1b[31m" html=<a&b>
time=TIME level=ERROR msg=failed error="the cause"
time=TIME level=INFO msg=done request.id=abc request.http.level=7 request.http.msg=m request.http.time=1
`

const jsonLines = `{"@timestamp":"TIME","log.level":"debug","message":"looking","service.name":"authservice","path":"/tmp/a b"}
{"@timestamp":"TIME","log.level":"info","message":"ready","service.name":"authservice","url":"http://127.0.0.1:8080","took":1500000000,"n":3}
{"@timestamp":"TIME","log.level":"warn","message":"two\nlines","service.name":"authservice","quote":"\"","control":"\u001b[31m","html":"<a&b>"}
{"@timestamp":"TIME","log.level":"error","message":"failed","service.name":"authservice","error":"the cause"}
{"@timestamp":"TIME","log.level":"info","message":"done","service.name":"authservice","request":{"id":"abc","http":{"level":7,"msg":"m","time":1}}}
`

func TestNewLogger_Lines(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{"text": textLines, "json": jsonLines} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			before := time.Now().Truncate(time.Millisecond) // text has no finer ones
			someLines(telemetry.NewLogger(&b, format, "debug"))

			for _, text := range times.FindAllString(b.String(), -1) {
				at, err := time.Parse(time.RFC3339, text)
				require.NoError(t, err)
				require.WithinRange(t, at, before, time.Now())
			}
			require.Equal(t, want, times.ReplaceAllString(b.String(), "TIME"))
		})
	}
}

func TestNewLogger_JSONIsOneObjectALine(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	someLines(telemetry.NewLogger(&b, "json", "debug"))
	lines := bytes.Split(bytes.TrimSuffix(b.Bytes(), []byte("\n")), []byte("\n"))
	require.Len(t, lines, 5)
	for _, line := range lines {
		var members map[string]any
		require.NoError(t, json.Unmarshal(line, &members))
		for _, name := range []string{"@timestamp", "log.level", "message", "service.name"} {
			require.Contains(t, members, name)
		}
	}
}

func TestNewLogger_Level(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]int{"debug": 5, "info": 4, "warn": 2, "error": 1, "": 4, "nonsense": 4} {
		for _, format := range []string{"text", "json"} {
			t.Run(format+" "+level, func(t *testing.T) {
				t.Parallel()
				var b bytes.Buffer
				someLines(telemetry.NewLogger(&b, format, level))
				require.Equal(t, want, bytes.Count(b.Bytes(), []byte("\n")))
			})
		}
	}
}
