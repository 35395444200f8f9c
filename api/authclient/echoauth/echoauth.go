// Package echoauth checks access tokens of Auth Service in front of Echo
// handlers. It is apart from package authclient so that users of net/http do
// not get Echo.
package echoauth

import (
	"maps"

	"github.com/labstack/echo/v4"

	"github.com/authservice/authservice/api/authclient"
)

// Middleware lets requests pass that have a valid access token; [Identity] says
// whose it is. Others get an *echo.HTTPError with a problem (RFC 9457) for a
// message, which goes through the error handler of your application.
func Middleware(v *authclient.Verifier) echo.MiddlewareFunc {
	return require(v, func(authclient.Identity) bool { return true })
}

// RequireRole is [Middleware] for callers of one role.
func RequireRole(v *authclient.Verifier, role authclient.UserRole) echo.MiddlewareFunc {
	return require(v, func(i authclient.Identity) bool { return i.Role == role })
}

// RequireScope is [Middleware] for callers who carry a scope.
func RequireScope(v *authclient.Verifier, scope authclient.Scope) echo.MiddlewareFunc {
	return require(v, func(i authclient.Identity) bool { return i.Has(scope) })
}

func require(v *authclient.Verifier, may func(authclient.Identity) bool) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			identity, err := v.Authenticate(r)
			if err == nil && !may(identity) {
				err = authclient.ErrForbidden
			}
			if err != nil {
				return refusal(c, err)
			}
			c.SetRequest(r.WithContext(authclient.WithIdentity(r.Context(), identity)))
			return next(c)
		}
	}
}

// Identity returns who is calling. It panics in a handler that no middleware of
// this package stands in front of.
func Identity(c echo.Context) authclient.Identity {
	identity, ok := authclient.IdentityFrom(c.Request().Context())
	if !ok {
		panic("echoauth: no middleware in front of this handler")
	}
	return identity
}

func refusal(c echo.Context, err error) error {
	status, header, body := authclient.Refusal(err)
	header.Del("Content-Type") // The error handler's to choose.
	maps.Copy(c.Response().Header(), header)
	return &echo.HTTPError{Code: status, Message: body, Internal: err}
}
