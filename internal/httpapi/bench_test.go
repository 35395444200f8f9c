package httpapi

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api"
	"github.com/authservice/authservice/internal/telemetry"
)

// What logs and metrics cost each request, alone.
func BenchmarkTell(b *testing.B) {
	for name, level := range map[string]string{"Metrics": "error", "MetricsAndLine": "info"} {
		b.Run(name, func(b *testing.B) {
			levels, err := telemetry.NewLevels(level)
			require.NoError(b, err)
			about := telemetry.Service{Name: "authservice", Version: "v1.0.0", Environment: "production", Node: "host-abcdefgh"}
			logs := telemetry.NewLogs(telemetry.LogOptions{Service: about, Levels: levels, Out: io.Discard})
			s := &server{o: Options{Log: logs.Logger("http"), Metrics: telemetry.NewMetrics(about)}}

			r := httptest.NewRequest(http.MethodPost, "/v1/me/credits/debits", nil)
			c := echo.New().NewContext(r, httptest.NewRecorder())
			require.NoError(b, c.NoContent(http.StatusCreated))
			userID := uuid.Must(uuid.NewV7())
			b.ReportAllocs()
			for b.Loop() {
				call := &call{id: "019ab5c3-8e21-7d05-b7c2-4f6e8a1b3c5d", operation: "debitMyCredits"}
				call.caller.UserID = userID
				call.device.IP, call.device.UserAgent = netip.MustParseAddr("203.0.113.7"), "curl/8.14.1"
				s.o.Metrics.RequestBegan()
				call.work.Identify(slog.String("http.request.id", call.id))
				c.SetRequest(r.WithContext(telemetry.WithWork(r.Context(), &call.work)))
				s.tell(c, call, 3*time.Millisecond)
			}
		})
	}
}

// What it costs to hold a request against the contract.
func BenchmarkValidate(b *testing.B) {
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPIYAML)
	require.NoError(b, err)
	g, err := newGate(doc, nil, 1<<16)
	require.NoError(b, err)
	op := g.operations["/v1/users/:user_id/credits/debits"][http.MethodPost]
	body := `{"amount":125,"reference":"order-8812","description":"Three prints"}`
	e := echo.New()
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/v1/users/019ab5c3-8e21-7d05-b7c2-4f6e8a1b3c5d/credits/debits", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "order-8812")
		c := e.NewContext(r, nil)
		c.SetParamNames("user_id")
		c.SetParamValues("019ab5c3-8e21-7d05-b7c2-4f6e8a1b3c5d")
		if err := op.validate(c, &call{}); err != nil {
			b.Fatal(err)
		}
	}
}
