package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Together hears of queries that requests share; name is that of their spans.
//
// All callers have waited for the database, so the time counts for each of them.
// What was sent to it counts for the first, so that it counts once. The queries
// are in the trace of the first caller that is traced; the others' traces lead
// there by a link.
func (t *Telemetry) Together(name string) func(context.Context, []context.Context) (context.Context, func()) {
	return func(ctx context.Context, callers []context.Context) (context.Context, func()) {
		w := new(Work)
		ctx = WithWork(ctx, w)
		endSpans := func() {}
		if t.spans != nil {
			ctx, endSpans = t.shareSpan(ctx, name, callers)
		}
		return ctx, func() {
			use := w.Database()
			for _, caller := range callers {
				if of := workOf(caller); of != nil {
					of.db.add(use)
					use.Statements, use.Rows = 0, 0
				}
			}
			endSpans()
		}
	}
}

func (t *Telemetry) shareSpan(ctx context.Context, name string, callers []context.Context) (_ context.Context, end func()) {
	var traced []context.Context
	for _, caller := range callers {
		if trace.SpanFromContext(caller).IsRecording() {
			traced = append(traced, caller)
		}
	}
	if len(traced) == 0 {
		return ctx, func() {}
	}
	tracer, began := t.spans.Tracer(scope), time.Now()
	ctx, span := tracer.Start(trace.ContextWithSpan(ctx, trace.SpanFromContext(traced[0])), name)
	return ctx, func() {
		span.End()
		for _, caller := range traced[1:] {
			_, own := tracer.Start(caller, name, trace.WithTimestamp(began), trace.WithLinks(trace.Link{SpanContext: span.SpanContext()}))
			own.End()
		}
	}
}
