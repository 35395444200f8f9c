package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

// No secret of a full run stands in a log, a metric, a trace, in an answer that is
// not about it, or in the database, in any spelling.
func TestLeaks(t *testing.T) {
	t.Parallel()
	pepper := "pepper-" + uuid.NewString() + uuid.NewString()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	shipped, traced := receiveLines(t, listener), &spans{}
	collector := httptest.NewServer(traced)
	t.Cleanup(collector.Close)
	s, box := startServiceWithMail(t, "AUTH_LOG_LEVEL=debug", "AUTH_PASSWORD_PEPPER="+pepper,
		"AUTH_LOGSTASH_ADDR="+listener.Addr().String(), "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL)
	first, second, wrong := "first "+uuid.NewString(), "second "+uuid.NewString(), "wrong "+uuid.NewString()
	email := uuid.NewString() + "@example.com"
	anonymous, admin := s.anonymous(t), s.admin(t)

	registered, err := anonymous.RegisterUserWithResponse(t.Context(), authclient.RegisterRequest{Email: email, Password: first})
	require.NoError(t, err)
	_, verifyToken := mailed(t, box, email, "Confirm")
	_, err = anonymous.VerifyEmailWithResponse(t.Context(), authclient.VerifyEmailRequest{Token: verifyToken})
	require.NoError(t, err)
	refreshed, err := anonymous.RefreshSessionWithResponse(t.Context(), authclient.RefreshRequest{RefreshToken: registered.JSON201.RefreshToken})
	require.NoError(t, err)
	_, err = anonymous.LogInWithResponse(t.Context(), authclient.LoginRequest{Email: email, Password: wrong})
	require.NoError(t, err)
	_, err = anonymous.ForgotPasswordWithResponse(t.Context(), authclient.ForgotPasswordRequest{Email: email})
	require.NoError(t, err)
	_, resetToken := mailed(t, box, email, "Choose a new password")
	reset, err := anonymous.ResetPasswordWithResponse(t.Context(), authclient.ResetPasswordRequest{Token: resetToken, NewPassword: second})
	require.NoError(t, err)
	require.Equal(t, 204, reset.StatusCode())
	_, err = anonymous.ForgotPasswordWithResponse(t.Context(), authclient.ForgotPasswordRequest{Email: email})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(box.Messages(email)) == 5 }, eventually, aMoment) // with welcome and the notice
	_, pendingToken := mailed(t, box, email, "Choose a new password")
	require.NotEqual(t, resetToken, pendingToken)
	created, err := admin.CreateAPIKeyWithResponse(t.Context(), authclient.CreateAPIKeyRequest{Name: "k", Scopes: []authclient.Scope{authclient.ScopeUsersRead}})
	require.NoError(t, err)
	rotated, err := admin.RotateAPIKeyWithResponse(t.Context(), created.JSON201.ID, authclient.RotateAPIKeyRequest{})
	require.NoError(t, err)
	for _, key := range []string{created.JSON201.Key, rotated.JSON200.Key, "ask_" + strings.Repeat("0", 97)} {
		_, _ = anonymous.send(t, http.MethodGet, "/v1/users", "", "X-API-Key", key)
		_, _ = anonymous.send(t, http.MethodGet, "/v1/nothing/"+key, "") // as somebody in a hurry might
	}
	_, _ = anonymous.send(t, http.MethodGet, "/v1/me", "", "Authorization", "Bearer "+refreshed.JSON200.AccessToken)
	in, err := anonymous.LogInWithResponse(t.Context(), authclient.LoginRequest{Email: email, Password: second})
	require.NoError(t, err)
	user := s.withSession(t, *in.JSON200)

	secrets := map[string]string{
		"first password": first, "second password": second, "wrong password": wrong, "pepper": pepper,
		"verification link": verifyToken, "used reset link": resetToken, "pending reset link": pendingToken,
		"API key": created.JSON201.Key, "rotated API key": rotated.JSON200.Key,
		"access token": in.JSON200.AccessToken, "expired access token": refreshed.JSON200.AccessToken, "refresh token": in.JSON200.RefreshToken,
		"exchanged refresh token": registered.JSON201.RefreshToken, "its successor": refreshed.JSON200.RefreshToken,
	}
	for _, setting := range s.environ {
		if key, ok := strings.CutPrefix(setting, "AUTH_ENCRYPTION_KEY="); ok {
			secrets["encryption key"] = key
		}
	}
	places := map[string]string{"the database": s.everything(t)}
	for _, path := range []string{"/v1/users", "/v1/api-keys", "/v1/audit-events?limit=200", "/v1/users/" + user.id().String() + "/sessions"} {
		_, body := admin.send(t, http.MethodGet, path, "")
		places[path] = string(body)
	}
	for _, path := range []string{"/v1/me", "/v1/me/sessions", "/v1/me/export"} {
		_, body := user.send(t, http.MethodGet, path, "")
		places[path] = string(body)
	}
	places["the metrics"] = s.scrape(t)
	require.Zero(t, s.stop())
	places["the log"], places["what was shipped"] = s.logs.String(), shipped.String()
	for _, span := range traced.all {
		places["the traces"] += span.String() + "\n"
	}

	require.Contains(t, places["the database"], email, "the search finds what is there")
	for _, place := range []string{"the log", "what was shipped", "the traces"} {
		require.Contains(t, places[place], "/v1/auth/password/reset", place)
	}
	require.Contains(t, places["the metrics"], "resetPassword")
	for place, text := range places {
		for name, secret := range secrets {
			for spelling, needle := range spellings(secret) {
				require.NotContains(t, text, needle, "%s in %s, %s", name, place, spelling)
			}
		}
	}
	for _, place := range []string{"the log", "what was shipped", "the traces", "the metrics"} {
		require.NotContains(t, places[place], email, place)
	}
}

// spellings are the ways in which a secret may have been written down: whole,
// and without the prefix that says what it is.
func spellings(secret string) map[string]string {
	all := map[string]string{}
	bare := secret[strings.LastIndexAny(secret[:min(len(secret), 40)], "_")+1:]
	for name, s := range map[string]string{"": secret, ", bare": bare} {
		whole := []byte(s)[:len(s)/3*3] // what stands behind changes the end of base64
		all["plain"+name] = s
		all["hex"+name] = hex.EncodeToString([]byte(s))
		all["base64"+name] = base64.RawStdEncoding.EncodeToString(whole)
		all["base64url"+name] = base64.RawURLEncoding.EncodeToString(whole)
		all["URL"+name] = url.QueryEscape(s)
		all["path"+name] = url.PathEscape(s)
	}
	return all
}

// everything is the whole database as text, bytes in hexadecimal.
func (s *service) everything(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for table, rows := range s.tables(t) {
		all.WriteString(table + "\n" + rows + "\n")
	}
	return all.String()
}

// tables is the text of each table's rows.
func (s *service) tables(t *testing.T) map[string]string {
	t.Helper()
	owner := s.db.Owner(t)
	rows, err := owner.Query(t.Context(), "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'")
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	all := map[string]string{}
	for _, table := range tables {
		rows, err := owner.Query(t.Context(), fmt.Sprintf("SELECT t::text FROM %s t ORDER BY 1", pgx.Identifier{table}.Sanitize()))
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		all[table] = strings.Join(lines, "\n")
	}
	return all
}
