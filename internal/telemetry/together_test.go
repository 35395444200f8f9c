package telemetry

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// Queries that requests share are waited for by each, sent once, in one trace, and
// to be found from the others.
func TestTogether(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	tel := &Telemetry{spans: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))}
	var callers []context.Context
	works := make([]Work, 3)
	for i := range works {
		works[i].Identify(slog.Int("i", i))
		ctx, span := tel.spans.Tracer("test").Start(WithWork(t.Context(), &works[i]), "request")
		t.Cleanup(func() { span.End() })
		callers = append(callers, ctx)
	}
	callers = append(callers, t.Context()) // of no request

	ctx, ended := tel.Together("shared")(t.Context(), callers)
	_, query := tel.spans.Tracer("test").Start(ctx, "query")
	query.End()
	w := workOf(ctx)
	w.db.begin()
	w.db.end(2, 5)
	ended()
	for i := range works {
		use := works[i].Database()
		require.Equal(t, w.Database().Time, use.Time)
		require.Equal(t, i == 0, use == w.Database(), "what was sent counts once")
		require.Equal(t, i > 0, use.Statements == 0 && use.Rows == 0)
	}

	found := spans.GetSpans()
	require.Len(t, found, 4)
	require.Equal(t, "query", found[0].Name)
	shared := found[1]
	require.Equal(t, shared.SpanContext.SpanID(), found[0].Parent.SpanID())
	traces := map[any]bool{shared.SpanContext.TraceID(): true}
	for _, other := range found[2:] {
		require.Equal(t, "shared", other.Name)
		require.Equal(t, shared.SpanContext.SpanID(), other.Links[0].SpanContext.SpanID())
		require.Equal(t, shared.SpanContext.TraceID(), other.Links[0].SpanContext.TraceID())
		require.False(t, other.StartTime.After(shared.EndTime))
		traces[other.SpanContext.TraceID()] = true
	}
	require.Len(t, traces, 3)
}

func TestTogether_NoTraces(t *testing.T) {
	t.Parallel()
	var a Work
	ctx, ended := new(Telemetry).Together("shared")(t.Context(), []context.Context{WithWork(t.Context(), &a)})
	workOf(ctx).db.begin()
	workOf(ctx).db.end(1, 1)
	ended()
	require.EqualValues(t, 1, a.Database().Statements)
}
