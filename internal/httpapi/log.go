package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// logCall writes the one line that a request leaves in the log.
func (s *server) logCall(c echo.Context, call *call, took time.Duration) {
	status := c.Response().Status
	attrs := []slog.Attr{
		slog.String("http.request.id", call.id),
		slog.String("http.request.method", c.Request().Method),
		slog.String("url.path", c.Request().URL.Path),
		slog.String("operation", call.operation),
		slog.Int("http.response.status_code", status),
		slog.Duration("event.duration", took),
		slog.String("client.ip", call.device.IP.String()),
	}
	switch {
	case call.caller.IsKey():
		attrs = append(attrs, slog.String("api_key.id", call.caller.APIKeyID.String()))
	case call.caller.UserID != uuid.Nil:
		attrs = append(attrs, slog.String("user.id", call.caller.UserID.String()))
	}
	level := slog.LevelInfo
	if call.err != nil {
		attrs = append(attrs, slog.String("error.code", call.err.Code))
		if call.err.Reason != "" {
			attrs = append(attrs, slog.String("event.reason", call.err.Reason))
		}
		if cause := call.err.Unwrap(); cause != nil {
			attrs = append(attrs, slog.String("error.message", cause.Error()))
		}
		if frames := call.err.Stack(); frames != nil {
			attrs = append(attrs, slog.String("error.stack_trace", stackTrace(frames)))
		}
	}
	switch {
	case errors.Is(c.Request().Context().Err(), context.Canceled):
		attrs = append(attrs, slog.Bool("client.gone", true)) // not a fault of ours
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	}
	s.o.Log.LogAttrs(c.Request().Context(), level, "request", attrs...)
}

// stackTrace is a stack in one string, innermost call first.
func stackTrace(frames *runtime.Frames) string {
	var b strings.Builder
	for {
		f, more := frames.Next()
		fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		if !more {
			return b.String()
		}
	}
}
