package authclient

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Error is a refusal by the service: an RFC 9457 problem. Decide by its Code,
// best with [IsCode].
type Error struct {
	Problem
	// Of [CodeInsufficientCredits]: what the request needs, what is available,
	// and the difference.
	Required, Available, Shortfall int64
	// RetryAfter is how long the service asks to wait, 0 if it does not.
	RetryAfter time.Duration
}

// Error implements error. It has nothing that was sent.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "authclient: %d", e.Status)
	for _, text := range []string{e.Code, e.Detail} {
		if text != "" {
			b.WriteString(" " + text)
		}
	}
	for _, field := range e.Errors {
		fmt.Fprintf(&b, " %s %s.", field.Pointer, field.Message)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request %s)", e.RequestID)
	}
	return b.String()
}

// IsCode reports whether err is a refusal with one of the codes.
func IsCode(err error, codes ...string) bool {
	refusal, ok := errors.AsType[*Error](err)
	return ok && slices.Contains(codes, refusal.Code)
}

// ErrAccepted is the error of a call that the service has accepted without a
// result yet: [Client.RegisterUser], where addresses must be verified before the
// first login. What comes next comes by mail.
var ErrAccepted = errors.New("authclient: accepted, but there is no result yet")

// refusal reads an answer that is none of the good ones. Not all come from the
// service: a proxy has its own.
func refusal(r *http.Response, body []byte) *Error {
	var p struct {
		Problem
		Required  int64 `json:"required"`
		Available int64 `json:"available"`
		Shortfall int64 `json:"shortfall"`
	}
	if !isMedia(r, "application/problem+json") || json.Unmarshal(body, &p) != nil {
		p.Problem = Problem{Title: http.StatusText(r.StatusCode), Detail: http.StatusText(r.StatusCode), RequestID: r.Header.Get("X-Request-ID")}
	}
	p.Status = r.StatusCode // Whatever the body says.
	return &Error{Problem: p.Problem, Required: p.Required, Available: p.Available, Shortfall: p.Shortfall, RetryAfter: retryAfter(r)}
}

func isMedia(r *http.Response, want string) bool {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), want)
}
