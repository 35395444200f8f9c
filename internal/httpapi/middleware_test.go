package httpapi

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/telemetry"
)

// A panic is answered like any other fault, and logged with where it began.
func TestBegin_Panic(t *testing.T) {
	t.Parallel()
	levels, err := telemetry.NewLevels("info")
	require.NoError(t, err)
	var log bytes.Buffer
	logs := telemetry.NewLogs(telemetry.LogOptions{Service: telemetry.Service{Name: "authservice"}, Levels: levels, Out: &log})
	s := &server{o: Options{Log: logs.Logger("http"), Metrics: telemetry.NewMetrics(telemetry.Service{}), RequestTimeout: time.Minute}}
	e := echo.New()
	e.HTTPErrorHandler = s.handleError
	e.Use(s.begin)
	e.GET("/v1/boom", explode)

	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/v1/boom", nil)
	r.Header.Set("X-Request-ID", "r-1")
	e.ServeHTTP(w, r)
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Equal(t, problemType, w.Header().Get("Content-Type"))
	require.Contains(t, w.Body.String(), "internal_error")
	require.NotContains(t, w.Body.String(), "index")

	const golden = `{"@timestamp":"TIME","log.level":"error","message":"GET 500 internal_error","ecs.version":"8.17.0","service.name":"authservice",` +
		`"service.version":"","service.environment":"","service.node.name":"","log.logger":"http","event.action":"request","event.outcome":"failure",` +
		`"event.duration":N,"http.request.method":"GET","url.path":"/v1/boom","http.response.status_code":500,"http.response.body.bytes":N,` +
		`"client.ip":"192.0.2.1","user_agent.original":"","error.code":"internal_error","error.message":"panic: runtime error: index out of range [8] with length 1","error.type":"panic",` +
		`"error.stack_trace":"github.com/authservice/authservice/internal/httpapi.explode\n\tSTACK","http.request.id":"r-1","event.sequence":1}` + "\n"
	line := regexp.MustCompile(`("@timestamp":)"[^"]+"`).ReplaceAllString(log.String(), `$1"TIME"`)
	line = regexp.MustCompile(`("event.duration"|"http.response.body.bytes"):\d+`).ReplaceAllString(line, "$1:N")
	line = regexp.MustCompile(`(httpapi.explode\\n\\t)\S+middleware_test.go:\d+\\n[^"]+`).ReplaceAllString(line, "${1}STACK")
	require.Equal(t, strings.Split(golden, ","), strings.Split(line, ","), "in this order")
}

func explode(c echo.Context) error { return c.NoContent([]int{200}[len(c.Path())]) }
