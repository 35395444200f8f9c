package telemetry

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Jobs watches jobs: it implements the Watcher of package jobs.
type Jobs struct {
	log     *slog.Logger
	metrics *Metrics
	spans   trace.TracerProvider // nil for none
}

// requestIDKey is under which a job keeps the id of the request that enqueued
// it; the propagator's own keys stand beside it.
const requestIDKey = "request_id"

// requestID is the attribute of a Work that its jobs take along.
const requestID = "http.request.id"

// Carry returns what a job takes along: its trace, and the request that it comes from.
func (j *Jobs) Carry(ctx context.Context) map[string]string {
	carried := propagation.MapCarrier{}
	Propagator.Inject(ctx, carried)
	if w := workOf(ctx); w != nil {
		for _, a := range w.attrs {
			if a.Key == requestID {
				carried[requestIDKey] = a.Value.String()
			}
		}
	}
	return carried
}

// Resume returns the context of a job that took this along: its lines name the
// request, and its spans belong to that one's trace.
func (j *Jobs) Resume(ctx context.Context, carried map[string]string) context.Context {
	w := new(Work)
	if request := carried[requestIDKey]; request != "" {
		w.Identify(slog.String(requestID, request))
	}
	return WithWork(Propagator.Extract(ctx, propagation.MapCarrier(carried)), w)
}

// Begin is called with the context of Resume before an attempt; what it returns
// is called after it, with what became of it.
func (j *Jobs) Begin(ctx context.Context, kind string, id int64, attempt int) (context.Context, func(outcome string, err error)) {
	began := time.Now()
	w := new(Work)
	w.Identify(append(slices.Clip(workOf(ctx).attrs),
		slog.String("authservice.job", kind), slog.Int64("authservice.job_id", id), slog.Int("authservice.attempt", attempt))...)
	ctx = WithWork(ctx, w)
	var span trace.Span
	if j.spans != nil {
		ctx, span = j.spans.Tracer(scope).Start(ctx, "job "+kind, trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(attribute.Int64("authservice.job_id", id), attribute.Int("authservice.attempt", attempt)))
	}
	return ctx, func(outcome string, err error) {
		took := time.Since(began)
		if span != nil {
			if err != nil {
				span.SetStatus(codes.Error, clean(err.Error(), limitOf("error.message")))
			}
			span.End()
		}
		j.metrics.JobDone(kind, outcome, took)
		j.log.LogAttrs(ctx, slog.LevelDebug, "job "+outcome, append(w.Database().attrs(),
			slog.String("event.action", "job_"+outcome), slog.Duration("event.duration", took))...)
	}
}
