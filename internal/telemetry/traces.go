package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Propagator carries traces in and out of the process, as W3C Trace Context has it.
var Propagator propagation.TextMapPropagator = propagation.TraceContext{}

// startTraces returns what spans are made with, or nil where the OTEL_ variables
// name no endpoint to send them to, or say that there shall be none. It reads
// them, as the library does, from the environment of the process.
func startTraces(ctx context.Context, s Service, log *slog.Logger) (*sdktrace.TracerProvider, error) {
	if firstOf("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT") == "" ||
		strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return nil, nil //nolint:nilnil // no traces are a setting like any other
	}
	switch exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter {
	case "none":
		return nil, nil //nolint:nilnil // see above
	case "", "otlp":
	default:
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER: must be otlp or none")
	}
	exporter, err := newExporter(ctx)
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(
			attribute.String("service.name", s.Name), attribute.String("service.version", s.Version),
			attribute.String("service.instance.id", s.Node), attribute.String("deployment.environment.name", s.Environment)),
		resource.WithFromEnv()) // the last word
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	// The library has one place for its complaints in a process.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { //nolint:contextcheck // of no caller
		log.WarnContext(context.Background(), "traces cannot be sent", "error", err)
	}))
	return sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(cleaner{}), sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)), nil
}

// cleaner does for spans of requests what clean does for lines: their paths and
// headers are the client's words.
type cleaner struct{}

// OnStart implements sdktrace.SpanProcessor.
func (cleaner) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	if s.SpanKind() != trace.SpanKindServer {
		return
	}
	for _, a := range s.Attributes() {
		if a.Value.Type() != attribute.STRING {
			continue
		}
		if was := a.Value.AsString(); was != clean(was, limitOf("url.path")) {
			s.SetAttributes(attribute.String(string(a.Key), clean(was, limitOf("url.path"))))
		}
	}
}

// OnEnd implements sdktrace.SpanProcessor.
func (cleaner) OnEnd(sdktrace.ReadOnlySpan) {}

// Shutdown implements sdktrace.SpanProcessor.
func (cleaner) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (cleaner) ForceFlush(context.Context) error { return nil }

func newExporter(ctx context.Context) (exporter sdktrace.SpanExporter, err error) {
	switch protocol := firstOf("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); protocol {
	case "", "http/protobuf":
		exporter, err = otlptracehttp.New(ctx)
	case "grpc":
		exporter, err = otlptracegrpc.New(ctx)
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf or grpc")
	}
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	return exporter, nil
}

func firstOf(names ...string) string {
	for _, name := range names {
		if value := os.Getenv(name); value != "" {
			return value
		}
	}
	return ""
}
