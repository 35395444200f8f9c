package telemetry

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// textHandler writes lines for people at a terminal. Nothing that is logged can
// make the terminal do anything: the libraries for coloured lines that were
// looked at pass some escape sequences on.
type textHandler struct {
	out    io.Writer
	color  bool
	logger string
	attrs  []byte // of WithAttrs, written already
}

func newTextHandler(w io.Writer, color bool) slog.Handler {
	return &textHandler{out: w, color: color}
}

// hidden are attributes that people at a terminal know, or read in the message.
var hidden = map[string]bool{
	"event.action": true, "event.category": true, "event.id": true, "event.outcome": true, "event.sequence": true,
	"http.request.method": true, "http.response.body.bytes": true, "http.response.status_code": true,
	"authservice.operation": true, "user_agent.original": true, "error.code": true,
}

const stackTraceKey = "error.stack_trace"

// Colours, as the ANSI escape sequences have them.
const (
	faint, red, green, yellow, reset = "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"
)

var levelColors = map[string]string{"debug": faint, "info": green, "warn": yellow, "error": red}

// Enabled implements slog.Handler.
func (h *textHandler) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	b := make([]byte, 0, 512)
	b = h.paint(b, faint, r.Time.Local().Format("15:04:05.000"))
	b = append(b, ' ')
	level := levelName(r.Level)
	b = h.paint(b, levelColors[level], strings.ToUpper(level)+strings.Repeat(" ", len("error")-len(level)))
	b = append(b, ' ')
	b = h.paint(b, faint, h.logger+strings.Repeat(" ", max(0, len("service")-len(h.logger))))
	b = append(b, ' ')
	b = appendText(b, clean(r.Message, limitOf(slog.MessageKey)), false)
	b = append(b, h.attrs...)
	var stack string
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == stackTraceKey {
			stack = a.Value.String()
		} else {
			b = h.appendAttr(b, "", a)
		}
		return true
	})
	b = append(b, '\n')
	for line := range strings.Lines(clean(stack, limitOf(stackTraceKey))) {
		b = append(append(b, "    "...), strings.TrimRight(line, "\n")...)
		b = append(b, '\n')
	}
	_, err := h.out.Write(b)
	return err
}

// WithAttrs implements slog.Handler.
func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append([]byte(nil), h.attrs...)
	for _, a := range attrs {
		if a.Key == "log.logger" {
			c.logger = a.Value.String()
		} else {
			c.attrs = c.appendAttr(c.attrs, "", a)
		}
	}
	return &c
}

// WithGroup implements slog.Handler; handler keeps groups to itself.
func (h *textHandler) WithGroup(string) slog.Handler { return h }

func (h *textHandler) appendAttr(b []byte, prefix string, a slog.Attr) []byte {
	a.Value = a.Value.Resolve()
	if hidden[a.Key] || a.Equal(slog.Attr{}) {
		return b
	}
	if a.Value.Kind() == slog.KindGroup {
		for _, member := range a.Value.Group() {
			b = h.appendAttr(b, prefix+a.Key+".", member)
		}
		return b
	}
	b = append(b, ' ')
	b = h.paint(b, faint, clean(prefix+strings.TrimPrefix(a.Key, "authservice."), limitOf(a.Key))+"=")
	switch v := cleanValue(a.Key, a.Value); v.Kind() {
	case slog.KindDuration:
		return append(b, v.Duration().Round(time.Microsecond).String()...)
	case slog.KindTime:
		return append(b, v.Time().Format(time.RFC3339Nano)...)
	case slog.KindAny:
		if raw, ok := v.Any().(json.RawMessage); ok {
			return appendText(b, string(raw), true)
		}
		return appendText(b, v.String(), true)
	default:
		return appendText(b, v.String(), true)
	}
}

// appendText quotes a text that would not stand as one word, or as one line.
func appendText(b []byte, s string, word bool) []byte {
	odd := func(r rune) bool { return !unicode.IsPrint(r) || word && (r == ' ' || r == '"' || r == '=') }
	if s == "" || strings.IndexFunc(s, odd) >= 0 {
		return strconv.AppendQuote(b, s)
	}
	return append(b, s...)
}

func (h *textHandler) paint(b []byte, color, s string) []byte {
	if !h.color {
		return append(b, s...)
	}
	return append(append(append(b, color...), s...), reset...)
}
