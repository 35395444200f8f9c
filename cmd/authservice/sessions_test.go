package main

import (
	"net/http"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

func TestSessions_RegisterAndLogIn(t *testing.T) {
	t.Parallel()
	s := startService(t, "AUTH_ACCESS_TOKEN_TTL=5m", "AUTH_REFRESH_TOKEN_TTL=48h")
	anonymous := s.anonymous(t)
	name := "Ada"
	registered, err := anonymous.RegisterUserWithResponse(t.Context(), authclient.RegisterRequest{Email: "Ada@EXAMPLE.com", Password: testPassword, Name: &name})
	require.NoError(t, err)
	require.Equal(t, 201, registered.StatusCode(), string(registered.Body))
	session := registered.JSON201
	require.Equal(t, "Bearer", session.TokenType)
	require.EqualValues(t, 300, session.ExpiresIn)
	require.EqualValues(t, 48*3600, session.RefreshExpiresIn)
	require.Equal(t, "ada@example.com", session.User.Email)
	require.Equal(t, authclient.UserRoleUser, session.User.Role)
	require.False(t, session.User.EmailVerified)
	require.Equal(t, "{}", string(session.User.Metadata))

	taken, err := anonymous.RegisterUserWithResponse(t.Context(), authclient.RegisterRequest{Email: "ａda@example.com", Password: testPassword})
	require.NoError(t, err)
	require.Equal(t, 409, taken.StatusCode())
	require.Equal(t, "email_taken", problemOf(t, taken.Body).Code)

	in, err := anonymous.LogInWithResponse(t.Context(), authclient.LoginRequest{Email: "ADA@example.com", Password: testPassword})
	require.NoError(t, err)
	require.Equal(t, session.User.ID, in.JSON200.User.ID)

	var answers []string
	for _, wrong := range []authclient.LoginRequest{
		{Email: "ada@example.com", Password: testPassword + "x"},
		{Email: "nobody@example.com", Password: testPassword},
		{Email: "no address", Password: testPassword},
	} {
		r, err := anonymous.LogInWithResponse(t.Context(), wrong)
		require.NoError(t, err)
		require.Equal(t, 401, r.StatusCode())
		require.Equal(t, "Bearer", r.HTTPResponse.Header.Get("WWW-Authenticate"))
		p := problemOf(t, r.Body)
		answers = append(answers, p.Code+p.Detail+p.Title)
	}
	require.Equal(t, answers[0], answers[1])
	require.Equal(t, answers[0], answers[2])
}

func TestSessions_AccessToken(t *testing.T) {
	t.Parallel()
	s := startService(t, "AUTH_JWT_ISSUER=https://auth.example.com", "AUTH_JWT_AUDIENCE=shop")
	user := s.user(t)
	keys, err := s.anonymous(t).GetJWKSWithResponse(t.Context())
	require.NoError(t, err)
	require.Len(t, keys.JSON200.Keys, 1)
	require.Equal(t, "public, max-age=300", keys.HTTPResponse.Header.Get("Cache-Control"))

	token, _, err := jwt.NewParser().ParseUnverified(user.session.AccessToken, jwt.MapClaims{})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"alg": "EdDSA", "typ": "at+jwt", "kid": keys.JSON200.Keys[0].Kid}, token.Header)
	claims := token.Claims.(jwt.MapClaims)
	require.Equal(t, "https://auth.example.com", claims["iss"])
	require.Equal(t, []any{"shop"}, claims["aud"])
	require.Equal(t, user.id().String(), claims["sub"])
	require.Equal(t, "user", claims["role"])
	require.Empty(t, claims["scope"])
	for _, name := range []string{"exp", "iat", "nbf", "jti", "sid"} {
		require.Contains(t, claims, name)
	}
}

func TestSessions_LogOutHoldsAtOnce(t *testing.T) {
	t.Parallel()
	s := startService(t)
	replica := startServiceOn(t, s.db, s.environ...)
	user := s.user(t)
	elsewhere := replica.withSession(t, user.session)
	require.Zero(t, elsewhere.balance(t).Balance)

	out, err := user.LogOutWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, 204, out.StatusCode())

	for _, c := range []*caller{user, elsewhere} {
		me, err := c.GetMeWithResponse(t.Context())
		require.NoError(t, err)
		require.Equal(t, 401, me.StatusCode())
		require.Equal(t, `Bearer error="invalid_token"`, me.HTTPResponse.Header.Get("WWW-Authenticate"))
		refreshed, err := c.RefreshSessionWithResponse(t.Context(), authclient.RefreshRequest{RefreshToken: user.session.RefreshToken})
		require.NoError(t, err)
		require.Equal(t, "invalid_refresh_token", problemOf(t, refreshed.Body).Code)
	}
}

func TestSessions_Refresh(t *testing.T) {
	t.Parallel()
	s := startService(t, "AUTH_REFRESH_GRACE=0s")
	user := s.user(t)
	refresh := func(token string) *authclient.RefreshSessionResponse {
		r, err := s.anonymous(t).RefreshSessionWithResponse(t.Context(), authclient.RefreshRequest{RefreshToken: token})
		require.NoError(t, err)
		return r
	}
	first := refresh(user.session.RefreshToken)
	require.Equal(t, 200, first.StatusCode(), string(first.Body))
	require.NotEqual(t, user.session.RefreshToken, first.JSON200.RefreshToken)
	_, err := s.withSession(t, *first.JSON200).GetMeWithResponse(t.Context())
	require.NoError(t, err)

	// Without grace the parent's reuse ends the session for everybody.
	reused := refresh(user.session.RefreshToken)
	require.Equal(t, 401, reused.StatusCode())
	require.Equal(t, "refresh_token_reused", problemOf(t, reused.Body).Code)
	require.Equal(t, 401, refresh(first.JSON200.RefreshToken).StatusCode())
	me, err := s.withSession(t, *first.JSON200).GetMeWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, 401, me.StatusCode())
}

func TestSessions_RefreshInParallel(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	successors := make([]string, 20)
	parallel(20, func(i int) {
		r, err := s.anonymous(t).RefreshSessionWithResponse(t.Context(), authclient.RefreshRequest{RefreshToken: user.session.RefreshToken})
		if err == nil && r.JSON200 != nil {
			successors[i] = r.JSON200.RefreshToken
		}
	})
	for _, successor := range successors {
		require.NotEmpty(t, successor)
		require.Equal(t, successors[0], successor)
	}
}

func TestSessions_Suspended(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	_, err := s.db.Owner(t).Exec(t.Context(), "UPDATE users SET status = 'suspended' WHERE id = $1", user.id())
	require.NoError(t, err)

	me, err := user.GetMeWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, 401, me.StatusCode())
	for password, want := range map[string]int{testPassword: 403, testPassword + "x": 401} {
		in, err := s.anonymous(t).LogInWithResponse(t.Context(), authclient.LoginRequest{Email: user.session.User.Email, Password: password})
		require.NoError(t, err)
		require.Equal(t, want, in.StatusCode())
	}
}

func TestAccount_Update(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	name := "Ada King"
	metadata := authclient.Metadata(`{"b":[1.0,2e2],"a":"x"}`)
	changed, err := user.UpdateMeWithResponse(t.Context(), authclient.UpdateMeRequest{Name: &name, Metadata: &metadata})
	require.NoError(t, err)
	require.Equal(t, 200, changed.StatusCode(), string(changed.Body))
	require.Equal(t, name, changed.JSON200.Name)
	require.Equal(t, string(metadata), string(changed.JSON200.Metadata), "exactly as sent")
	require.True(t, changed.JSON200.UpdatedAt.After(user.session.User.UpdatedAt))

	empty := ""
	changed, err = user.UpdateMeWithResponse(t.Context(), authclient.UpdateMeRequest{Name: &empty})
	require.NoError(t, err)
	require.Empty(t, changed.JSON200.Name)
	require.Equal(t, string(metadata), string(changed.JSON200.Metadata), "left as it was")

	me, err := user.GetMeWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, string(changed.Body), string(me.Body))
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin := s.admin(t)
	create := func(name string) *authclient.CreateAPIKeyResponse {
		r, err := admin.CreateAPIKeyWithResponse(t.Context(), authclient.CreateAPIKeyRequest{Name: name, Scopes: []authclient.Scope{authclient.ScopeCreditsRead}})
		require.NoError(t, err)
		require.Equal(t, 201, r.StatusCode(), string(r.Body))
		return r
	}
	first, second := create("first").JSON201, create("second").JSON201
	require.Regexp(t, `^ask_[0-9a-f]{32}_[0-9a-f]{64}$`, first.Key)

	list, err := admin.ListAPIKeysWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{second.ID, first.ID}, []uuid.UUID{list.JSON200.Items[0].ID, list.JSON200.Items[1].ID})
	require.NotContains(t, string(list.Body), first.Key)
	require.True(t, list.JSON200.Items[1].LastUsedAt.IsNull())
	one := 1
	page, err := admin.ListAPIKeysWithResponse(t.Context(), &authclient.ListAPIKeysParams{Limit: &one})
	require.NoError(t, err)
	next := page.JSON200.NextCursor.MustGet()
	page, err = admin.ListAPIKeysWithResponse(t.Context(), &authclient.ListAPIKeysParams{Limit: &one, Cursor: &next})
	require.NoError(t, err)
	require.Equal(t, first.ID, page.JSON200.Items[0].ID)
	require.True(t, page.JSON200.NextCursor.IsNull())

	backend := s.as(t, "X-API-Key", first.Key)
	seen, err := backend.GetUserCreditsWithResponse(t.Context(), admin.id(), nil)
	require.NoError(t, err)
	require.Equal(t, 200, seen.StatusCode())
	list, err = admin.ListAPIKeysWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.False(t, list.JSON200.Items[1].LastUsedAt.IsNull())

	for _, want := range []int{204, 404} {
		deleted, err := admin.DeleteAPIKeyWithResponse(t.Context(), first.ID)
		require.NoError(t, err)
		require.Equal(t, want, deleted.StatusCode())
	}
	seen, err = backend.GetUserCreditsWithResponse(t.Context(), admin.id(), nil)
	require.NoError(t, err)
	require.Equal(t, 401, seen.StatusCode())

	past, body := admin.send(t, http.MethodPost, "/v1/api-keys", `{"name":"x","scopes":["credits:read"],"expires_at":"2020-01-01T00:00:00Z"}`)
	require.Equal(t, 422, past.StatusCode)
	require.Equal(t, "/expires_at", problemOf(t, body).Errors[0].Pointer)
}
