package httpapi

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
)

// A panic is answered like any other fault, and logged with where it began.
func TestBegin_Panic(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := &server{o: Options{Log: slog.New(slog.NewJSONHandler(&log, nil)), RequestTimeout: time.Minute}}
	e := echo.New()
	e.HTTPErrorHandler = s.handleError
	e.Use(s.begin)
	e.GET("/v1/boom", explode)

	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/boom", nil))
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Equal(t, problemType, w.Header().Get("Content-Type"))
	require.Contains(t, w.Body.String(), "internal_error")
	require.NotContains(t, w.Body.String(), "secret cause")

	var line map[string]any
	require.NoError(t, json.Unmarshal(log.Bytes(), &line))
	require.Equal(t, "ERROR", line["level"])
	require.Equal(t, "panic: secret cause", line["error.message"])
	require.Contains(t, line["error.stack_trace"], "httpapi.explode")
	require.Equal(t, w.Header().Get("X-Request-ID"), line["http.request.id"])
}

func explode(echo.Context) error { panic("secret cause") }
