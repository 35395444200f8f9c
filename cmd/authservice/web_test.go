package main

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestWeb_CrossOrigin(t *testing.T) {
	t.Parallel()
	s := startService(t, "AUTH_CORS_ORIGINS=https://app.example.com,https://*.example.org,http://localhost:3000")
	for origin, listed := range map[string]bool{
		"https://app.example.com":              true,
		"https://a.example.org":                true,
		"https://b.a.example.org":              true,
		"http://localhost:3000":                true,
		"https://example.com":                  false,
		"https://evil.example.com":             false,
		"https://app.example.com.evil.com":     false,
		"https://evilapp.example.com":          false,
		"https://app.example.com:8443":         false,
		"http://app.example.com":               false,
		"HTTPS://APP.EXAMPLE.COM":              false,
		"https://example.org":                  false,
		"https://evilexample.org":              false,
		"https://a.example.org.evil.com":       false,
		"https://evil.com/.example.org":        false,
		"http://a.example.org":                 false,
		"http://localhost:3001":                false,
		"null":                                 false,
		"https://app.example.com, https://x.y": false,
	} {
		t.Run(strings.ReplaceAll(origin, "/", "_"), func(t *testing.T) {
			t.Parallel()
			allowed := map[bool]string{true: origin}[listed]

			// What a script asks for, errors included, is shown to listed origins only.
			for path, status := range map[string]int{"/v1/me": 401, "/nothing": 404, "/health/live": 200} {
				response, _ := s.anonymous(t).send(t, http.MethodGet, path, "", "Origin", origin)
				require.Equal(t, status, response.StatusCode)
				requireCrossOrigin(t, response, allowed)
				if listed {
					exposed := strings.Split(strings.ToLower(response.Header.Get("Access-Control-Expose-Headers")), ",")
					for _, name := range []string{"x-request-id", "idempotent-replayed", "retry-after"} {
						require.Contains(t, exposed, name)
					}
				}
			}

			// Before anything else than a simple request the browser asks for leave.
			for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
				response, _ := s.anonymous(t).send(t, http.MethodOptions, "/v1/me/credits/debits", "",
					"Origin", origin, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", "authorization,content-type,idempotency-key,x-request-id")
				requireCrossOrigin(t, response, allowed)
				require.Equal(t, listed, response.StatusCode == http.StatusNoContent)
				if listed {
					require.Equal(t, "7200", response.Header.Get("Access-Control-Max-Age"))
					require.Equal(t, "authorization,content-type,idempotency-key,x-request-id", response.Header.Get("Access-Control-Allow-Headers"))
				}
			}
		})
	}
	t.Run("WhatIsNotNeeded", func(t *testing.T) {
		t.Parallel()
		for _, unusual := range [][2]string{{"TRACE", "authorization"}, {"POST", "x-evil"}} {
			response, _ := s.anonymous(t).send(t, http.MethodOptions, "/v1/me", "", "Origin", "https://app.example.com",
				"Access-Control-Request-Method", unusual[0], "Access-Control-Request-Headers", unusual[1])
			require.NotEqual(t, http.StatusNoContent, response.StatusCode)
		}
	})
}

// requireCrossOrigin asserts that an answer is for the pages of an origin, or of none.
func requireCrossOrigin(t *testing.T, response *http.Response, origin string) {
	t.Helper()
	require.Equal(t, origin, response.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, origin != "", response.Header.Get("Access-Control-Allow-Credentials") == "true")
	require.Contains(t, strings.Join(response.Header.Values("Vary"), ","), "Origin")
}

func TestWeb_NoCrossOriginUnlessAsked(t *testing.T) {
	t.Parallel()
	s := startService(t)
	for _, method := range []string{http.MethodGet, http.MethodOptions} {
		response, _ := s.anonymous(t).send(t, method, "/v1/me", "", "Origin", "https://app.example.com", "Access-Control-Request-Method", "GET")
		for name := range response.Header {
			require.False(t, strings.HasPrefix(name, "Access-Control-"), name)
		}
	}
}

func TestWeb_SecurityHeaders(t *testing.T) {
	t.Parallel()
	plain, secure := startService(t), startService(t, "AUTH_PUBLIC_URL=https://auth.example.com")
	paths := []string{"/v1/me", "/health/live", "/nothing", "/docs", "/docs/init.js", "/verify-email", "/.well-known/jwks.json", "/openapi.json"}
	for _, s := range []*service{plain, secure} {
		for _, path := range paths {
			response, _ := s.anonymous(t).send(t, http.MethodGet, path, "")
			h := response.Header
			require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
			require.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'", path)
			require.Contains(t, h.Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
			require.Equal(t, "no-referrer", h.Get("Referrer-Policy"), path)
			require.Equal(t, "same-origin", h.Get("Cross-Origin-Resource-Policy"), path)
			require.Equal(t, "same-origin", h.Get("Cross-Origin-Opener-Policy"), path)
			require.Empty(t, h.Get("Server"), path)
			require.Equal(t, map[bool]string{true: "max-age=31536000"}[s == secure], h.Get("Strict-Transport-Security"), path)
			for name, values := range h {
				require.Len(t, values, 1, "%s of %s", name, path)
			}
		}
	}
}

// A page of another site can send a form or a text anywhere without asking. Every
// operation that changes something wants more than that: JSON, or a token.
func TestWeb_SimpleRequestsChangeNothing(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	before := s.state(t)
	for path, item := range contract().Paths.Map() {
		for method, operation := range item.Operations() {
			if method == http.MethodGet {
				continue
			}
			bearer, _ := schemes(operation)
			require.True(t, bearer || operation.RequestBody != nil, "%s %s takes neither a token nor JSON", method, path)
			for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; application/json", "application/json, text/plain"} {
				response, body := s.anonymous(t).send(t, method, fill(path, user.id()), exampleOf(t, operation), "Content-Type", kind, "Origin", "https://evil.example.com")
				require.Contains(t, []int{401, 415}, response.StatusCode, "%s %s as %q: %s", method, path, kind, body)
			}
		}
	}
	require.Equal(t, before, s.state(t))
}

// Reading changes nothing, whoever does it.
func TestWeb_GetsChangeNothing(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user, admin := s.user(t), s.admin(t)
	admin.grant(t, user.id(), 10)
	before := s.state(t)
	paths := []string{"/verify-email?token=x", "/reset-password?token=x"}
	for path, item := range contract().Paths.Map() {
		require.Nil(t, item.Head)
		if item.Get != nil {
			paths = append(paths, fill(path, user.id()))
		}
	}
	for _, path := range paths {
		for _, c := range []*caller{s.anonymous(t), user, admin} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				response, _ := c.send(t, method, path, "")
				require.Less(t, response.StatusCode, 500, path)
			}
		}
	}
	require.Equal(t, before, s.state(t))
}

// state is what requests may change in the database.
func (s *service) state(t *testing.T) map[string]string {
	t.Helper()
	tables := s.tables(t)
	maps.DeleteFunc(tables, func(name, _ string) bool {
		// What jobs do by themselves is no request's doing.
		return strings.HasPrefix(name, "river_") || strings.HasPrefix(name, "ledger_checkpoint") || name == "rate_limits"
	})
	return tables
}

// No path takes a method that the contract does not give it, whatever its name.
func TestWeb_UnknownMethods(t *testing.T) {
	t.Parallel()
	s := startService(t)
	for path, item := range contract().Paths.Map() {
		known := []string{http.MethodOptions}
		for method := range item.Operations() {
			known = append(known, method)
		}
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "BREW", "get", "X-HTTP-Method"} {
			if slices.Contains(known, method) || method == http.MethodHead && item.Get != nil {
				continue
			}
			response, body := s.anonymous(t).send(t, method, fill(path, uuid.New()), "", "X-HTTP-Method-Override", "GET")
			require.Equal(t, 405, response.StatusCode, "%s %s: %s", method, path, body)
			if method != http.MethodHead { // has no body
				requireProblem(t, response, body, "method_not_allowed", "")
			}
			allowed := slices.DeleteFunc(strings.Split(response.Header.Get("Allow"), ", "), func(m string) bool { return m == http.MethodHead })
			require.ElementsMatch(t, known, allowed, "%s %s", method, path)
		}
		response, body := s.anonymous(t).send(t, http.MethodOptions, fill(path, uuid.New()), "")
		require.Equal(t, 204, response.StatusCode, path)
		require.Empty(t, body)
		require.NotEmpty(t, response.Header.Get("Allow"))
	}
}
