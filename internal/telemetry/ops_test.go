package telemetry

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// open returns the telemetry of a service and what it logs.
func open(t *testing.T) (*Telemetry, *lockedBuffer) {
	t.Helper()
	out := &lockedBuffer{}
	tel, err := Open(t.Context(), Options{Service: someService, Out: out, Levels: "info"})
	require.NoError(t, err)
	t.Cleanup(func() { tel.Close(context.Background()) })
	return tel, out
}

func ask(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

func TestOps(t *testing.T) {
	t.Parallel()
	tel, _ := open(t)
	h := tel.OpsHandler()
	for _, test := range []struct {
		method, path string
		status       int
		holds        string
	}{
		{http.MethodGet, "/metrics", http.StatusOK, "go_goroutines "},
		{http.MethodGet, "/metrics", http.StatusOK, "process_open_fds "},
		{http.MethodGet, "/metrics", http.StatusOK, "go_build_info{"},
		{http.MethodGet, "/metrics", http.StatusOK, `authservice_build_info{environment="staging",goversion="go1.`},
		{http.MethodGet, "/log-level", http.StatusOK, "info\n"},
		{http.MethodPost, "/log-level", http.StatusMethodNotAllowed, ""},
		{http.MethodGet, "/debug/pprof/", http.StatusOK, "goroutine"},
		{http.MethodGet, "/debug/pprof/goroutine?debug=1", http.StatusOK, "goroutine profile"},
		{http.MethodGet, "/debug/pprof/cmdline", http.StatusOK, "test"},
		{http.MethodGet, "/debug/pprof/symbol", http.StatusOK, "num_symbols"},
		{http.MethodPost, "/metrics", http.StatusMethodNotAllowed, ""},
		{http.MethodGet, "/", http.StatusNotFound, ""},
		{http.MethodGet, "/v1/me", http.StatusNotFound, ""},
	} {
		t.Run(test.method+test.path, func(t *testing.T) {
			t.Parallel()
			w := ask(h, test.method, test.path, "")
			require.Equal(t, test.status, w.Code)
			require.Contains(t, w.Body.String(), test.holds)
		})
	}
}

func TestOps_LogLevel(t *testing.T) {
	t.Parallel()
	tel, out := open(t)
	h := tel.OpsHandler()
	log := tel.Logger("jobs")
	require.False(t, log.Enabled(t.Context(), -4))

	w := ask(h, http.MethodPut, "/log-level", "error,jobs=debug")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "error,jobs=debug\n", w.Body.String())
	require.True(t, log.Enabled(t.Context(), -4))
	require.Equal(t, "error,jobs=debug\n", ask(h, http.MethodGet, "/log-level", "").Body.String())
	require.Empty(t, out.String(), "it was said to be quiet")

	require.Equal(t, http.StatusOK, ask(h, http.MethodPut, "/log-level", "warn\n").Code)
	line := out.lines(t)[0]
	require.Equal(t, "log levels changed", line["message"])
	require.Equal(t, "error,jobs=debug", line["authservice.before"])

	for _, bad := range []string{"", "loud", "info,nobody=debug", strings.Repeat("info,", 1000)} {
		w := ask(h, http.MethodPut, "/log-level", bad)
		require.Equal(t, http.StatusBadRequest, w.Code)
		require.NotEmpty(t, w.Body.String())
		require.Equal(t, "warn\n", ask(h, http.MethodGet, "/log-level", "").Body.String())
	}
}

func TestMetrics_Requests(t *testing.T) {
	t.Parallel()
	m := NewMetrics(someService)
	for range 3 {
		m.RequestBegan()
	}
	m.RequestDone("debitMyCredits", 201, "", 3*time.Millisecond, DatabaseUse{Time: 2 * time.Second, Statements: 4, Rows: 5})
	m.RequestDone("", 404, "not_found", time.Minute, DatabaseUse{})
	for _, status := range []int{-1, 600, 1 << 40} {
		m.RequestBegan()
		m.RequestDone("x", status, "", 0, DatabaseUse{})
	}
	require.NoError(t, testutil.GatherAndCompare(m.registry, strings.NewReader(`
# HELP authservice_http_requests_in_flight Requests that are being answered.
# TYPE authservice_http_requests_in_flight gauge
authservice_http_requests_in_flight 1
# HELP authservice_http_requests_total Requests that were answered, by operationId and status.
# TYPE authservice_http_requests_total counter
authservice_http_requests_total{operation="debitMyCredits",status="201"} 1
authservice_http_requests_total{operation="none",status="404"} 1
authservice_http_requests_total{operation="x",status="other"} 3
# HELP authservice_http_refusals_total Problems that requests, and operations of batches, were answered with, by code.
# TYPE authservice_http_refusals_total counter
authservice_http_refusals_total{code="not_found"} 1
# HELP authservice_http_database_seconds_total Time that requests waited for the database, by operationId.
# TYPE authservice_http_database_seconds_total counter
authservice_http_database_seconds_total{operation="debitMyCredits"} 2
`), "authservice_http_requests_in_flight", "authservice_http_requests_total", "authservice_http_refusals_total", "authservice_http_database_seconds_total"))
}

// Jobs are counted for all who ask within some seconds, and not at all while the
// database is away.
func TestMetrics_Jobs(t *testing.T) {
	t.Parallel()
	m := NewMetrics(someService)
	asked := 0
	m.WatchJobs(func(context.Context) ([]JobCount, error) {
		asked++
		return []JobCount{
			{"send_mail", "available", 7, time.Now().Add(-time.Hour)}, {"send_mail", "retryable", 1, time.Now().Add(time.Hour)},
			{"send_mail", "discarded", 2, time.Now().Add(-24 * time.Hour)},
		}, nil
	})
	for range 3 {
		scrape := ask(opsHandler(m.registry, nil, discard), http.MethodGet, "/metrics", "").Body.String()
		require.Contains(t, scrape, `authservice_jobs{kind="send_mail",state="available"} 7`)
		require.Contains(t, scrape, `authservice_jobs{kind="send_mail",state="discarded"} 2`)
		require.Regexp(t, `authservice_jobs_oldest_due_seconds{kind="send_mail"} 36\d\d`, scrape)
	}
	require.Equal(t, 1, asked)

	m = NewMetrics(someService)
	m.WatchJobs(func(context.Context) ([]JobCount, error) { return nil, errors.New("away") })
	w := ask(opsHandler(m.registry, nil, discard), http.MethodGet, "/metrics", "")
	require.Equal(t, http.StatusOK, w.Code)
	require.NotContains(t, w.Body.String(), "authservice_jobs{")
}

func TestOpen_BadLevel(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), Options{Levels: "info,nobody=debug"})
	require.ErrorContains(t, err, "AUTH_LOG_LEVEL: there is no such logger")
}
