package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/authservice/authservice/api/authclient"
)

// spans collects what a service exports over OTLP.
type spans struct {
	collector.UnimplementedTraceServiceServer
	mu       sync.Mutex
	all      []*tracepb.Span
	resource string
}

// Export implements the gRPC service.
func (s *spans) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range r.GetResourceSpans() {
		s.resource = resource.GetResource().String()
		for _, scope := range resource.GetScopeSpans() {
			s.all = append(s.all, scope.GetSpans()...)
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// ServeHTTP implements http/protobuf.
func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, _ = s.Export(r.Context(), &request)
}

// of returns the spans of a trace, by name.
func (s *spans) of(traceID string) map[string]*tracepb.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]*tracepb.Span{}
	for _, span := range s.all {
		if hex.EncodeToString(span.GetTraceId()) == traceID {
			found[span.GetName()] = span
		}
	}
	return found
}

// requireParents checks that each span is the child of the next.
func requireParents(t *testing.T, found map[string]*tracepb.Span, chain ...string) {
	t.Helper()
	for i := 0; i+1 < len(chain); i++ {
		require.Contains(t, found, chain[i])
		require.Contains(t, found, chain[i+1])
		require.Equal(t, found[chain[i+1]].GetSpanId(), found[chain[i]].GetParentSpanId(), "%s in %s", chain[i], chain[i+1])
	}
}

func attributes(span *tracepb.Span) map[string]string {
	all := map[string]string{}
	for _, a := range span.GetAttributes() {
		all[a.GetKey()] = a.GetValue().GetStringValue()
	}
	return all
}

// One trace leads from the caller's own span through the operation and its queries
// to the mail that is sent later, and from a problem to all of it.
func TestTraces(t *testing.T) {
	t.Parallel()
	got := &spans{}
	receiver := httptest.NewServer(got)
	t.Cleanup(receiver.Close)
	s, box := startServiceWithMail(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+receiver.URL, "OTEL_BSP_SCHEDULE_DELAY=10",
		"OTEL_RESOURCE_ATTRIBUTES=team=accounts", "AUTH_LOG_LEVEL=debug")
	const traceID, callers = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

	email := uuid.NewString() + "@example.com"
	response, body := s.anonymous(t).send(t, http.MethodPost, "/v1/auth/register", `{"email":"`+email+`","password":"`+testPassword+`"}`,
		"Traceparent", "00-"+traceID+"-"+callers+"-01")
	require.Equal(t, 201, response.StatusCode, string(body))
	var session authclient.Session
	require.NoError(t, json.Unmarshal(body, &session))
	user := s.withSession(t, session)
	require.Regexp(t, "^00-"+traceID+"-[0-9a-f]{16}-01$", response.Header.Get("Traceresponse"))
	_, _ = mailed(t, box, email, "Confirm")

	var found map[string]*tracepb.Span
	require.Eventually(t, func() bool {
		found = got.of(traceID)
		return found["POST /v1/auth/register"] != nil && found["job mail"] != nil
	}, eventually, aMoment)
	require.Equal(t, callers, hex.EncodeToString(found["POST /v1/auth/register"].GetParentSpanId()))
	requireParents(t, found, "UserInsert", "registerUser", "POST /v1/auth/register")
	requireParents(t, found, "job mail", "registerUser")
	require.Equal(t, tracepb.Span_SPAN_KIND_CONSUMER, found["job mail"].GetKind())
	require.Contains(t, attributes(found["UserInsert"])["db.query.text"], "INSERT INTO users")
	require.Contains(t, got.resource, `"authservice"`)
	require.Contains(t, got.resource, `"accounts"`)

	// The lines of the request and of its job name the trace, and both the request.
	id := response.Header.Get("X-Request-ID")
	require.Equal(t, id, attributes(found["registerUser"])["http.request.id"])
	require.Eventually(t, func() bool { return strings.Contains(s.logs.String(), `"message":"job done"`) }, eventually, aMoment)
	lines := 0
	for line := range strings.Lines(s.logs.String()) {
		if strings.Contains(line, id) {
			lines++
			require.Contains(t, line, `"trace.id":"`+traceID+`"`)
		}
	}
	require.GreaterOrEqual(t, lines, 3, "request, event, job")

	// A problem leads to its line by request_id, and from there to its trace.
	_, body = s.anonymous(t).send(t, http.MethodGet, "/v1/me", "")
	line := s.logged(t, problemOf(t, body).RequestID, 1)[0]
	_, traceOf, _ := strings.Cut(line, `"trace.id":"`)
	require.Eventually(t, func() bool { return got.of(traceOf[:32])["getMe"] != nil }, eventually, aMoment)
	require.Equal(t, "authentication_required", attributes(got.of(traceOf[:32])["getMe"])["error.code"])

	// Queries that requests share are in the trace of one of them.
	s.admin(t).grant(t, user.id(), 10)
	const debitID = "5bf92f3577b34da6a3ce929d0e0e4737"
	response, body = user.send(t, http.MethodPost, "/v1/me/credits/debits", `{"amount":3}`, "Idempotency-Key", "k", "Traceparent", "00-"+debitID+"-"+callers+"-01")
	require.Equal(t, 201, response.StatusCode, string(body))

	// Probes are not traced; nor does anything personal get into a trace.
	_, _ = s.anonymous(t).send(t, http.MethodGet, "/health/ready", "")
	require.Zero(t, s.stop(), "sends what waits")
	found = got.of(debitID)
	requireParents(t, found, "SessionCallers", "who calls", "debitMyCredits", "POST /v1/me/credits/debits")
	requireParents(t, found, "ledger batch", "debitMyCredits")
	require.Contains(t, found, "CreditTransactionInsertMany")
	require.Contains(t, found, "COMMIT")
	got.mu.Lock()
	defer got.mu.Unlock()
	for _, span := range got.all {
		require.NotContains(t, span.GetName(), "health")
		require.NotContains(t, span.String(), email)
		require.NotContains(t, span.String(), testPassword)
	}
}

func TestTraces_GRPC(t *testing.T) {
	t.Parallel()
	got := &spans{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, got)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	s := startService(t, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://"+listener.Addr().String(), "OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
	response, _ := s.anonymous(t).send(t, http.MethodGet, "/v1/me", "")
	traceID := strings.Split(response.Header.Get("Traceresponse"), "-")[1]
	require.Zero(t, s.stop(), "sends what waits")
	requireParents(t, got.of(traceID), "getMe", "GET /v1/me")
}

// Without an endpoint there are no traces, whatever a caller sends.
func TestTraces_Off(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string][]string{
		"NoEndpoint": nil,
		"Disabled":   {"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_SDK_DISABLED=true"},
		"None":       {"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_TRACES_EXPORTER=none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startService(t, settings...)
			r, err := s.anonymous(t).GetJWKSWithResponse(t.Context(), func(_ context.Context, r *http.Request) error {
				r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
				return nil
			})
			require.NoError(t, err)
			require.Empty(t, r.HTTPResponse.Header.Get("Traceresponse"))
			require.NotContains(t, s.logged(t, r.HTTPResponse.Header.Get("X-Request-ID"), 1)[0], "trace.id")
		})
	}
}

func TestTraces_BadSettings(t *testing.T) {
	t.Parallel()
	required := []string{"DATABASE_URL=postgres://x/y", "AUTH_ENCRYPTION_KEY=6OOUVzmyc5NXWmvzkyJ6jCl6q9mZ0fCqTn2wZ2vZ0hE=", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"}
	for _, setting := range []string{"OTEL_EXPORTER_OTLP_PROTOCOL=http/json", "OTEL_TRACES_EXPORTER=zipkin"} {
		code, _, stderr := runOnce(t, []string{"serve"}, append(required, setting)...)
		require.Equal(t, 1, code)
		name, _, _ := strings.Cut(setting, "=")
		require.Contains(t, stderr, name+": must be ")
	}
}
