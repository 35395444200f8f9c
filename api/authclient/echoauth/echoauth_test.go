package echoauth_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
	"github.com/authservice/authservice/api/authclient/authtest"
	"github.com/authservice/authservice/api/authclient/echoauth"
)

func get(e *echo.Echo, path, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

func ExampleMiddleware() {
	issuer := authtest.NewIssuer() // In the tests of your service; else the URL of Auth Service.
	defer issuer.Close()

	verifier, err := authclient.NewVerifier(issuer.URL)
	if err != nil {
		log.Panic(err)
	}
	e := echo.New()
	reports := e.Group("/reports", echoauth.Middleware(verifier))
	reports.GET("", func(c echo.Context) error {
		return c.String(http.StatusOK, "reports for a "+string(echoauth.Identity(c).Role))
	})
	fmt.Println(get(e, "/reports", issuer.Token(authclient.Identity{Role: authclient.UserRoleUser})).Body)
	fmt.Println(get(e, "/reports", "").Code)
	// Output:
	// reports for a user
	// 401
}

func TestRequire(t *testing.T) {
	t.Parallel()
	issuer := authtest.NewIssuer()
	defer issuer.Close()
	v, err := authclient.NewVerifier(issuer.URL)
	require.NoError(t, err)
	e := echo.New()
	ok := func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }
	e.GET("/admin", ok, echoauth.RequireRole(v, authclient.UserRoleAdmin))
	e.GET("/audit", ok, echoauth.RequireScope(v, "audit:read"))
	e.GET("/bare", func(c echo.Context) error { _ = echoauth.Identity(c); return nil })

	user := issuer.Token(authclient.Identity{Role: authclient.UserRoleUser})
	admin := issuer.Token(authclient.Identity{Role: authclient.UserRoleAdmin, Scopes: []authclient.Scope{"audit:read"}})
	for _, path := range []string{"/admin", "/audit"} {
		require.Equal(t, http.StatusNoContent, get(e, path, admin).Code)
		refused := get(e, path, user)
		require.Equal(t, http.StatusForbidden, refused.Code)
		require.Contains(t, refused.Body.String(), authclient.CodeInsufficientScope)
		require.Equal(t, `Bearer error="insufficient_scope"`, refused.Header().Get("WWW-Authenticate"))
		require.Equal(t, http.StatusUnauthorized, get(e, path, "x").Code)
	}
	require.Panics(t, func() { get(e, "/bare", user) })

	issuer.Close()
	v, err = authclient.NewVerifier(issuer.URL)
	require.NoError(t, err)
	e.GET("/down", ok, echoauth.Middleware(v))
	require.Equal(t, http.StatusServiceUnavailable, get(e, "/down", user).Code)
}
