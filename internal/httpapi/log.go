package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/authservice/authservice/internal/apperr"
)

// tell counts a call that was answered, and writes the one line that it leaves
// in the log.
func (s *server) tell(c echo.Context, call *call, took time.Duration) {
	r, status, db := c.Request(), c.Response().Status, call.work.Database()
	code := ""
	if call.err != nil {
		code = call.err.Code
	}
	s.o.Metrics.RequestDone(call.operation, status, code, took, db)
	call.endSpan(status, code)

	ctx, gone := r.Context(), errors.Is(r.Context().Err(), context.Canceled)
	level := call.level(status, gone)
	if !s.o.Log.Enabled(ctx, level) {
		return
	}
	outcome := "success"
	if status >= http.StatusBadRequest {
		outcome = "failure"
	}
	var space [24]slog.Attr
	attrs := append(space[:0],
		slog.String("event.action", "request"),
		slog.String("event.outcome", outcome),
		slog.Duration("event.duration", took),
		slog.String("http.request.method", r.Method),
		slog.String("url.path", r.URL.Path),
		slog.Int("http.response.status_code", status),
		slog.Int64("http.response.body.bytes", c.Response().Size),
		slog.String("client.ip", call.device.IP.String()),
		slog.String("user_agent.original", call.device.UserAgent),
	)
	if call.operation != "" {
		attrs = append(attrs, slog.String("authservice.operation", call.operation))
	}
	switch {
	case call.caller.IsKey():
		attrs = append(attrs, slog.String("authservice.api_key_id", call.caller.APIKeyID.String()))
	case call.caller.UserID != uuid.Nil:
		attrs = append(attrs, slog.String("user.id", call.caller.UserID.String()))
	}
	if db.Statements > 0 {
		attrs = append(attrs,
			slog.Duration("authservice.database.duration", db.Time),
			slog.Int64("authservice.database.statements", db.Statements),
			slog.Int64("authservice.database.rows", db.Rows))
	}
	if c.Response().Header().Get("Idempotent-Replayed") != "" {
		attrs = append(attrs, slog.Bool("authservice.replayed", true))
	}
	if gone {
		attrs = append(attrs, slog.Bool("authservice.client_gone", true))
	}
	if call.err != nil {
		attrs = appendError(attrs, call.err)
	}
	s.o.Log.LogAttrs(ctx, level, call.summary(r.Method, status, code), attrs...)
}

// level is how much a call matters: what is no fault of ours is no error, and
// probes are what nobody wants to read.
func (c *call) level(status int, gone bool) slog.Level {
	switch {
	case gone || status < http.StatusInternalServerError:
		if status < http.StatusBadRequest && (c.operation == "getLiveness" || c.operation == "getReadiness") {
			return slog.LevelDebug
		}
		return slog.LevelInfo
	case status == http.StatusServiceUnavailable:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// summary is the call in a few words, none of which the client chose.
func (c *call) summary(method string, status int, code string) string {
	name := c.operation
	if name == "" {
		name = knownMethod(method)
	}
	var space [8]byte
	digits := strconv.AppendInt(space[:0], int64(status), 10)
	if code != "" {
		return name + " " + string(digits) + " " + code
	}
	return name + " " + string(digits)
}

func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "request"
}

// appendError says why a call was refused, for a fault of ours with the place
// where it began.
func appendError(attrs []slog.Attr, e *apperr.Error) []slog.Attr {
	attrs = append(attrs, slog.String("error.code", e.Code))
	if e.Reason != "" {
		attrs = append(attrs, slog.String("event.reason", e.Reason))
	}
	cause := e.Unwrap()
	switch {
	case cause != nil:
		attrs = append(attrs, slog.String("error.message", cause.Error()), slog.String("error.type", typeOf(cause)))
	case len(e.Fields) > 0:
		attrs = append(attrs, slog.String("error.message", fieldsText(e.Fields)))
	}
	if stack := e.StackTrace(); stack != "" {
		attrs = append(attrs, slog.String("error.stack_trace", stack))
	}
	return attrs
}

func fieldsText(fields []apperr.Field) string {
	texts := make([]string, len(fields))
	for i, f := range fields {
		texts[i] = f.Pointer + " " + f.Message
	}
	return strings.Join(texts, "; ")
}

// typeOf names the type of the error that others were wrapped around.
func typeOf(err error) string {
	if errors.As(err, new(panicked)) {
		return "panic"
	}
	for {
		cause := errors.Unwrap(err)
		if cause == nil {
			return reflect.TypeOf(err).String()
		}
		err = cause
	}
}

// panicked is a panic as an error.
type panicked struct{ value any }

// Error implements error.
func (p panicked) Error() string { return fmt.Sprint("panic: ", p.value) }
