package telemetry

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// ecsVersion is the version of the Elastic Common Schema whose names lines use.
const ecsVersion = "8.17.0"

// newJSONHandler writes one JSON object a line. It leaves levels to handler.
func newJSONHandler(w io.Writer) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.Level(-1 << 30), ReplaceAttr: toECS})
}

// toECS gives an attribute the name and the form of the schema. Names of ours,
// which have no dot, get a common prefix: bare ones such as "url" or "error" would
// collide with the schema's objects.
func toECS(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 {
		switch a.Key {
		case slog.TimeKey:
			if a.Value.Kind() == slog.KindTime {
				a.Key = "@timestamp"
				return a
			}
		case slog.LevelKey:
			if level, ok := a.Value.Any().(slog.Level); ok {
				return slog.String("log.level", levelName(level))
			}
		case slog.MessageKey:
			a.Key = "message"
		case "err", "error":
			a.Key = "error.message"
		}
		if a.Key != "message" && strings.IndexByte(a.Key, '.') < 0 {
			a.Key = "authservice." + a.Key
		}
	}
	a.Value = cleanValue(a.Key, a.Value)
	return a
}

// limitOf is how many bytes of a value are written.
func limitOf(key string) int {
	switch key {
	case "user_agent.original":
		return 256
	case "url.path":
		return 512
	case "error.stack_trace":
		return 8192
	}
	return 1024
}

// cleanValue bounds a value and takes out what must not be in a log. What is not
// a plain value becomes JSON or a string.
func cleanValue(key string, v slog.Value) slog.Value {
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(clean(v.String(), limitOf(key)))
	case slog.KindLogValuer:
		return cleanValue(key, v.Resolve())
	case slog.KindAny:
		return cleanAny(key, v.Any())
	default:
		return v
	}
}

func cleanAny(key string, v any) slog.Value {
	switch v := v.(type) {
	case nil:
		return slog.AnyValue(nil)
	case error:
		return slog.StringValue(clean(v.Error(), limitOf(key)))
	case fmt.Stringer:
		return slog.StringValue(clean(v.String(), limitOf(key)))
	}
	text, err := json.Marshal(v)
	if err != nil {
		return slog.StringValue(clean(fmt.Sprint(v), limitOf(key)))
	}
	if c := clean(string(text), limitOf(key)); c != string(text) {
		return slog.StringValue(c)
	}
	return slog.AnyValue(json.RawMessage(text))
}
