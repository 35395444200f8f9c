package telemetry

import (
	"io"
	"log/slog"
	"strings"
)

// NewLogger returns a logger that writes to w: format is "text", for people, or
// "json", one object a line with the field names of the Elastic Common Schema;
// level is debug, info, warn or error.
func NewLogger(w io.Writer, format, level string) *slog.Logger {
	var threshold slog.Level
	if err := threshold.UnmarshalText([]byte(level)); err != nil {
		threshold = slog.LevelInfo
	}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: threshold}))
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: threshold, ReplaceAttr: toECS})).
		With("service.name", "authservice")
}

// toECS renames what slog itself adds to a line.
func toECS(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		a.Key = "@timestamp"
	case slog.MessageKey:
		a.Key = "message"
	case slog.LevelKey:
		return slog.String("log.level", strings.ToLower(a.Value.String()))
	}
	return a
}
