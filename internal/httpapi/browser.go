package httpapi

import (
	"fmt"
	"net/http"

	"github.com/jub0bs/cors"
	"github.com/labstack/echo/v4"
)

// securityHeaders tell browsers what they must not do with an answer. The few
// pages that there are replace the policy with one of their own.
func securityHeaders(https bool) http.Header {
	h := http.Header{
		"X-Content-Type-Options":       {"nosniff"},
		"Content-Security-Policy":      {"default-src 'none'; frame-ancestors 'none'"},
		"Referrer-Policy":              {"no-referrer"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Cross-Origin-Opener-Policy":   {"same-origin"},
	}
	if https {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	return h
}

// preflightCached is how long a browser need not ask again, in seconds: the most
// that any but Firefox heeds.
const preflightCached = 7200

// crossOrigin lets the pages of these origins, such as https://app.example.com or
// https://*.example.com, call the API; of none if there are none.
func crossOrigin(origins []string) (echo.MiddlewareFunc, error) {
	if len(origins) == 0 {
		return func(next echo.HandlerFunc) echo.HandlerFunc { return next }, nil
	}
	m, err := cors.NewMiddleware(cors.Config{
		Origins:         origins,
		Credentialed:    true,
		Methods:         []string{http.MethodPut, http.MethodPatch, http.MethodDelete}, // besides those that need no leave
		RequestHeaders:  []string{"Authorization", "Content-Type", headerIdempotencyKey, "X-API-Key", "X-Request-ID", "Traceparent", "Tracestate"},
		ResponseHeaders: []string{"X-Request-ID", "Idempotent-Replayed", "Retry-After", "WWW-Authenticate"},
		MaxAgeInSeconds: preflightCached,
	})
	if err != nil {
		return nil, fmt.Errorf("allowing other origins: %w", err)
	}
	return echo.WrapMiddleware(m.Wrap), nil
}
