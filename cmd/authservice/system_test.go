package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api"
	"github.com/authservice/authservice/api/authclient"
)

func TestSystem_Health(t *testing.T) {
	t.Parallel()
	s := startService(t)
	live, err := s.anonymous(t).GetLivenessWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, "live", live.JSON200.Status)
	ready, err := s.anonymous(t).GetReadinessWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, authclient.ReadinessStatusReady, ready.JSON200.Status)
}

func TestSystem_ReadinessTellsMissingMigrations(t *testing.T) {
	t.Parallel()
	s := startService(t)
	_, err := s.db.Owner(t).Exec(t.Context(), "DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		ready, err := s.anonymous(t).GetReadinessWithResponse(t.Context())
		return err == nil && ready.StatusCode() == 503 && ready.JSON503.Checks.Migrations == authclient.CheckStatusFailed &&
			ready.JSON503.Checks.Database == authclient.CheckStatusOk
	}, 5e9, 1e8)
}

func TestSystem_PublishedContract(t *testing.T) {
	t.Parallel()
	s := startService(t)
	response, body := s.anonymous(t).send(t, http.MethodGet, "/openapi.yaml", "")
	require.Equal(t, 200, response.StatusCode)
	require.Equal(t, string(api.OpenAPIYAML), string(body))

	_, body = s.anonymous(t).send(t, http.MethodGet, "/openapi.json", "")
	var version struct {
		OpenAPI string `json:"openapi"`
	}
	require.NoError(t, json.Unmarshal(body, &version))
	require.Equal(t, "3.0.3", version.OpenAPI)
	doc, err := openapi3.NewLoader().LoadFromData(body)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	require.Len(t, doc.Paths.Map(), len(contract().Paths.Map()))

	response, body = s.anonymous(t).send(t, http.MethodGet, "/docs", "")
	require.Contains(t, string(body), "Auth Service")
	require.Contains(t, response.Header.Get("Content-Security-Policy"), "default-src 'none'")
}

func TestSystem_NoSuchPathOrMethod(t *testing.T) {
	t.Parallel()
	s := startService(t)
	for _, path := range []string{"/", "/v1", "/v1/", "/v1/me/", "/v1/nothing", "/v2/me", "/docs/../v1", "/.env"} {
		response, body := s.anonymous(t).send(t, http.MethodGet, path, "")
		require.Equal(t, 404, response.StatusCode, path)
		requireProblem(t, response, body, "not_found", "")
	}
	for _, method := range []string{"PUT", "POST"} {
		response, body := s.anonymous(t).send(t, method, "/v1/me", "")
		require.Equal(t, 405, response.StatusCode)
		requireProblem(t, response, body, "method_not_allowed", "")
		require.Equal(t, "OPTIONS, DELETE, GET, PATCH", response.Header.Get("Allow"))
	}
}

func TestSystem_RequestID(t *testing.T) {
	t.Parallel()
	s := startService(t)
	for sent, kept := range map[string]bool{
		"my-id_1.2": true, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false, "a b": false, "<x>": false, "": false,
	} {
		response, _ := s.anonymous(t).send(t, http.MethodGet, "/health/live", "", "X-Request-ID", sent)
		require.Equal(t, kept, response.Header.Get("X-Request-ID") == sent, sent)
	}
}

func TestSystem_Operations(t *testing.T) {
	t.Parallel()
	s := startService(t)
	for path, want := range map[string]string{"/metrics": "go_goroutines", "/debug/pprof/": "heap"} {
		response, err := http.Get(s.opsURL + path)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Contains(t, string(body), want)

		public, _ := s.anonymous(t).send(t, http.MethodGet, path, "")
		require.Equal(t, 404, public.StatusCode, "not on the public listener")
	}
}
