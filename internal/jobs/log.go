package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/authservice/authservice/internal/apperr"
)

// reporter logs the attempts that failed. It stands in for River's own messages
// about them, which say less.
type reporter struct {
	log     *slog.Logger
	watcher Watcher
}

// HandleError implements river.ErrorHandler.
func (r reporter) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	why := []slog.Attr{slog.String("error", err.Error())}
	var known *apperr.Error
	if errors.As(err, &known) && known.StackTrace() != "" {
		why = append(why, slog.String("error.stack_trace", known.StackTrace()))
	}
	r.report(ctx, job, why...)
	return nil
}

// HandlePanic implements river.ErrorHandler.
func (r reporter) HandlePanic(ctx context.Context, job *rivertype.JobRow, value any, trace string) *river.ErrorHandlerResult {
	r.report(ctx, job, slog.String("error", fmt.Sprint("panic: ", value)), slog.String("error.stack_trace", trace))
	return nil
}

func (r reporter) report(ctx context.Context, job *rivertype.JobRow, why ...slog.Attr) {
	level, message := slog.LevelWarn, "a job failed and will be tried again"
	if job.Attempt >= job.MaxAttempts {
		level, message = slog.LevelError, "a job failed"
	}
	r.log.LogAttrs(resume(ctx, r.watcher, job), level, message, append([]slog.Attr{
		slog.String("job", job.Kind), slog.Int64("job_id", job.ID),
		slog.Int("attempt", job.Attempt), slog.Int("max_attempts", job.MaxAttempts),
	}, why...)...)
}

// quiet passes on what River warns of. What it tells besides, such as counts
// every five seconds, is beneath our debugging.
type quiet struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, lower(level))
}

// Handle implements slog.Handler.
func (h quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = lower(r.Level)
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{h.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (h quiet) WithGroup(name string) slog.Handler { return quiet{h.Handler.WithGroup(name)} }

func lower(level slog.Level) slog.Level {
	if level < slog.LevelWarn {
		return level - 2*(slog.LevelInfo-slog.LevelDebug)
	}
	return level
}
