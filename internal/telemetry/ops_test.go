package telemetry_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/telemetry"
)

func TestOpsHandler(t *testing.T) {
	t.Parallel()
	h := telemetry.OpsHandler()
	for _, test := range []struct {
		method, path string
		status       int
		holds        string
	}{
		{http.MethodGet, "/metrics", http.StatusOK, "go_goroutines "},
		{http.MethodGet, "/metrics", http.StatusOK, "process_open_fds "},
		{http.MethodGet, "/metrics", http.StatusOK, "go_build_info{"},
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
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(test.method, test.path, nil))
			require.Equal(t, test.status, w.Code)
			require.Contains(t, w.Body.String(), test.holds)
		})
	}
}

// Each server has metrics of its own: tests start several in one process.
func TestOpsHandler_Twice(t *testing.T) {
	t.Parallel()
	require.NotPanics(t, func() {
		telemetry.OpsHandler()
		telemetry.OpsHandler()
	})
}
