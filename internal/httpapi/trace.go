package httpapi

import (
	"fmt"
	"net/http"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/contrib/instrumentation/github.com/labstack/echo/otelecho"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/authservice/authservice/internal/telemetry"
)

// traced makes a span of each request, in the trace that its traceparent names,
// and one in it of the operation.
func (s *server) traced(g *gate) []echo.MiddlewareFunc {
	if s.o.Spans == nil {
		return []echo.MiddlewareFunc{s.begin}
	}
	request := otelecho.Middleware("authservice",
		otelecho.WithTracerProvider(s.o.Spans), otelecho.WithPropagators(telemetry.Propagator), otelecho.WithSkipper(isProbe))
	return []echo.MiddlewareFunc{request, s.begin, g.traceOperation(s.o.Spans.Tracer("github.com/authservice/authservice/internal/httpapi"))}
}

func isProbe(c echo.Context) bool {
	return c.Path() == "/health/live" || c.Path() == "/health/ready"
}

// traceOperation answers with the trace, as W3C Trace Context Level 2 has it, so
// that who sent no traceparent can find it as well.
func (g *gate) traceOperation(tracer trace.Tracer) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			req := c.Request()
			op := g.operations[c.Path()][req.Method]
			if op == nil || isProbe(c) {
				return next(c)
			}
			ctx, span := tracer.Start(req.Context(), op.route.Operation.OperationID)
			of := span.SpanContext()
			c.Response().Header().Set("Traceresponse", fmt.Sprintf("00-%s-%s-%s", of.TraceID(), of.SpanID(), of.TraceFlags()))
			c.SetRequest(req.WithContext(ctx))
			defer c.SetRequest(req)
			callOf(ctx).span = span
			return next(c)
		}
	}
}

// endSpan ends the operation's span with what became of it.
func (c *call) endSpan(status int, code string) {
	if c.span == nil {
		return
	}
	c.span.SetAttributes(attribute.String("http.request.id", c.id))
	if c.caller.UserID != uuid.Nil {
		c.span.SetAttributes(attribute.String("user.id", c.caller.UserID.String()))
	}
	if code != "" {
		c.span.SetAttributes(attribute.String("error.code", code))
	}
	if status >= http.StatusInternalServerError {
		c.span.SetStatus(codes.Error, code)
	}
	c.span.End()
}
