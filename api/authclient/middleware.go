package authclient

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
)

// Errors of requests that a [Verifier] does not let pass.
var (
	// ErrNoToken is the error of a request without an access token.
	ErrNoToken = errors.New("authclient: the request has no access token")
	// ErrForbidden is the error of a caller who lacks the role or the scope.
	ErrForbidden = errors.New("authclient: the caller may not do this")
)

type identityKey struct{}

// WithIdentity returns a context in which [IdentityFrom] finds the caller.
func WithIdentity(ctx context.Context, i Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, i)
}

// IdentityFrom returns who is calling, below [Verifier.Middleware] and its like.
func IdentityFrom(ctx context.Context) (Identity, bool) {
	i, ok := ctx.Value(identityKey{}).(Identity)
	return i, ok
}

// Authenticate returns who sent a request. Errors: [ErrNoToken], and those of
// [Verifier.Verify].
func (v *Verifier) Authenticate(r *http.Request) (Identity, error) {
	sent := r.Header.Values("Authorization")
	if len(sent) == 0 {
		return Identity{}, ErrNoToken
	}
	scheme, token, _ := strings.Cut(sent[0], " ")
	if len(sent) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return Identity{}, ErrNoToken
	}
	return v.Verify(r.Context(), token)
}

// Middleware lets requests pass that have a valid access token, and refuses the
// others, with a problem (RFC 9457) as the service itself would.
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return v.require(next, func(Identity) bool { return true })
}

// RequireRole is [Verifier.Middleware] for callers of one role.
func (v *Verifier) RequireRole(role UserRole, next http.Handler) http.Handler {
	return v.require(next, func(i Identity) bool { return i.Role == role })
}

// RequireScope is [Verifier.Middleware] for callers who carry a scope.
func (v *Verifier) RequireScope(scope Scope, next http.Handler) http.Handler {
	return v.require(next, func(i Identity) bool { return i.Has(scope) })
}

func (v *Verifier) require(next http.Handler, may func(Identity) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		identity, err := v.Authenticate(r)
		if err == nil && !may(identity) {
			err = ErrForbidden
		}
		if err != nil {
			v.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(WithIdentity(r.Context(), identity)))
	})
}

// Refusal is the answer to a request that is not let pass, for middleware of
// your own: the body is an RFC 9457 problem for encoding/json.
func Refusal(err error) (status int, header http.Header, body any) {
	p := problem{Type: "urn:authservice:problem:"}
	header = http.Header{"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"}}
	switch {
	case errors.Is(err, ErrNoToken):
		p.Status, p.Code, p.Detail = http.StatusUnauthorized, CodeAuthenticationRequired, "This needs an access token."
		header.Set("WWW-Authenticate", "Bearer")
	case errors.Is(err, ErrInvalidToken):
		p.Status, p.Code, p.Detail = http.StatusUnauthorized, CodeInvalidAccessToken, "The access token is not valid. Refresh it or log in again."
		header.Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	case errors.Is(err, ErrForbidden):
		p.Status, p.Code, p.Detail = http.StatusForbidden, CodeInsufficientScope, "You may not do this."
		header.Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
	default:
		p.Status, p.Code, p.Detail = http.StatusServiceUnavailable, CodeUnavailable, "Access tokens cannot be checked at the moment."
		header.Set("Retry-After", "1")
	}
	p.Type += p.Code
	p.Title = http.StatusText(p.Status)
	return p.Status, header, p
}

// problem is [Problem] without what only the service knows.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

func refuse(w http.ResponseWriter, _ *http.Request, err error) {
	status, header, body := Refusal(err)
	maps.Copy(w.Header(), header)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // Whom it concerns has gone.
}
