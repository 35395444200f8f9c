package authclient_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

func TestVerifier_Middleware(t *testing.T) {
	t.Parallel()
	v := newVerifying(t)
	user := v.issuer.Token(authclient.Identity{Role: authclient.UserRoleUser, Scopes: []authclient.Scope{"credits:read"}})
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, ok := authclient.IdentityFrom(r.Context())
		require.True(t, ok)
		_, _ = io.WriteString(w, string(i.Role))
	})
	for name, test := range map[string]struct {
		handler   http.Handler
		header    []string
		status    int
		code      string
		challenge string
	}{
		"Good":        {v.Middleware(next), []string{"Bearer " + user}, 200, "", ""},
		"AnyCase":     {v.Middleware(next), []string{"bearer " + user}, 200, "", ""},
		"Nothing":     {v.Middleware(next), nil, 401, authclient.CodeAuthenticationRequired, "Bearer"},
		"OtherScheme": {v.Middleware(next), []string{"Basic " + user}, 401, authclient.CodeAuthenticationRequired, "Bearer"},
		"Twice":       {v.Middleware(next), []string{"Bearer " + user, "Bearer " + user}, 401, authclient.CodeAuthenticationRequired, "Bearer"},
		"Changed":     {v.Middleware(next), []string{"Bearer " + user + "x"}, 401, authclient.CodeInvalidAccessToken, `Bearer error="invalid_token"`},
		"TwoSpaces":   {v.Middleware(next), []string{"Bearer  " + user}, 401, authclient.CodeInvalidAccessToken, `Bearer error="invalid_token"`},
		"Role":        {v.RequireRole(authclient.UserRoleUser, next), []string{"Bearer " + user}, 200, "", ""},
		"OtherRole":   {v.RequireRole(authclient.UserRoleAdmin, next), []string{"Bearer " + user}, 403, authclient.CodeInsufficientScope, `Bearer error="insufficient_scope"`},
		"Scope":       {v.RequireScope("credits:read", next), []string{"Bearer " + user}, 200, "", ""},
		"OtherScope":  {v.RequireScope("credits:grant", next), []string{"Bearer " + user}, 403, authclient.CodeInsufficientScope, `Bearer error="insufficient_scope"`},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for _, value := range test.header {
			r.Header.Add("Authorization", value)
		}
		w := httptest.NewRecorder()
		test.handler.ServeHTTP(w, r)
		require.Equal(t, test.status, w.Code, name)
		require.Equal(t, test.challenge, w.Header().Get("WWW-Authenticate"), name)
		if test.status == 200 {
			require.Equal(t, "user", w.Body.String())
			continue
		}
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"), name)
		var p authclient.Problem
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
		require.Equal(t, test.code, p.Code, name)
	}
}

// That the keys cannot be had is no fault of the caller's.
func TestVerifier_Middleware_NoKeys(t *testing.T) {
	t.Parallel()
	v := newVerifying(t)
	v.down.Store(true)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+v.token())
	w := httptest.NewRecorder()
	v.Middleware(http.NotFoundHandler()).ServeHTTP(w, r)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
}

func TestVerifier_OwnRefusal(t *testing.T) {
	t.Parallel()
	v := newVerifying(t, authclient.WithRefusal(func(w http.ResponseWriter, _ *http.Request, err error) {
		require.ErrorIs(t, err, authclient.ErrNoToken)
		w.WriteHeader(http.StatusTeapot)
	}))
	w := httptest.NewRecorder()
	v.Middleware(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, http.StatusTeapot, w.Code)
}

// The service itself issues what the verifier takes.
func TestVerifier_OfTheService(t *testing.T) {
	t.Parallel()
	v, err := authclient.NewVerifier(shared.BaseURL)
	require.NoError(t, err)
	session := register(t, 0)
	i, err := v.Verify(t.Context(), session.AccessToken)
	require.NoError(t, err)
	require.Equal(t, session.User.ID, i.UserID)
	require.Equal(t, authclient.UserRoleUser, i.Role)
	require.Empty(t, i.Scopes)
	require.WithinDuration(t, time.Now().Add(time.Duration(session.ExpiresIn)*time.Second), i.ExpiresAt, time.Minute)
}

// What checking costs, nearly all of which is the signature.
func BenchmarkVerifier(b *testing.B) {
	v, err := authclient.NewVerifier(shared.BaseURL)
	require.NoError(b, err)
	token := exampleToken()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
