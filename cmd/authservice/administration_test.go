package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

func TestUsers_Lifecycle(t *testing.T) {
	t.Parallel()
	s, box := startServiceWithMail(t)
	admin := s.admin(t)
	email := uuid.NewString() + "@example.com"
	name := "Grace Hopper"
	created, err := admin.CreateUserWithResponse(t.Context(), authclient.CreateUserRequest{Email: email, Name: &name})
	require.NoError(t, err)
	require.Equal(t, 201, created.StatusCode(), string(created.Body))
	id := created.JSON201.ID
	again, err := admin.CreateUserWithResponse(t.Context(), authclient.CreateUserRequest{Email: email})
	require.NoError(t, err)
	require.Equal(t, "email_taken", problemOf(t, again.Body).Code)

	// The invitation lets the person choose a password.
	_, token := mailed(t, box, email, "invitation")
	set, err := s.anonymous(t).ResetPasswordWithResponse(t.Context(), authclient.ResetPasswordRequest{Token: token, NewPassword: testPassword})
	require.NoError(t, err)
	require.Equal(t, 204, set.StatusCode(), string(set.Body))
	logIn := func() *authclient.LogInResponse {
		in, err := s.anonymous(t).LogInWithResponse(t.Context(), authclient.LoginRequest{Email: email, Password: testPassword})
		require.NoError(t, err)
		return in
	}
	user := s.withSession(t, *logIn().JSON200)
	require.True(t, user.session.User.EmailVerified)

	// Found by a part of the name, by address, by role and by status.
	q, exact, role, status := "hOpp", strings.ToUpper(email), authclient.UserRoleUser, authclient.UserStatusActive
	for _, p := range []*authclient.ListUsersParams{{Q: &q}, {Email: &exact}, {Role: &role}, {Status: &status, Q: &email}} {
		list, err := admin.ListUsersWithResponse(t.Context(), p)
		require.NoError(t, err)
		require.Len(t, list.JSON200.Items, 1, string(list.Body))
		require.Equal(t, id, list.JSON200.Items[0].ID)
	}
	got, err := admin.GetUserWithResponse(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, name, got.JSON200.Name)

	// Suspended, from the next request on; only the right password tells.
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	suspended, err := admin.SuspendUserWithResponse(t.Context(), id, authclient.SuspendUserRequest{Reason: "Chargeback", Until: &until})
	require.NoError(t, err)
	require.Equal(t, authclient.UserStatusSuspended, suspended.JSON200.Status)
	require.Equal(t, "Chargeback", suspended.JSON200.Suspension.MustGet().Reason.MustGet())
	response, _ := user.send(t, http.MethodGet, "/v1/me", "")
	require.Equal(t, 401, response.StatusCode)
	require.Equal(t, "account_suspended", problemOf(t, logIn().Body).Code)
	past := time.Now().Add(-time.Second)
	refused, err := admin.SuspendUserWithResponse(t.Context(), id, authclient.SuspendUserRequest{Reason: "x", Until: &past})
	require.NoError(t, err)
	require.Equal(t, "/until", problemOf(t, refused.Body).Errors[0].Pointer)
	unsuspended, err := admin.UnsuspendUserWithResponse(t.Context(), id)
	require.NoError(t, err)
	require.True(t, unsuspended.JSON200.Suspension.IsNull())
	user = s.withSession(t, *logIn().JSON200)

	// Promoted and demoted, from the next request on.
	changeRole := func(role authclient.UserRole) {
		changed, err := admin.UpdateUserWithResponse(t.Context(), id, authclient.UpdateUserRequest{Role: &role})
		require.NoError(t, err)
		require.Equal(t, role, changed.JSON200.Role)
	}
	users := func() int { response, _ := user.send(t, http.MethodGet, "/v1/users", ""); return response.StatusCode }
	require.Equal(t, 403, users())
	changeRole(authclient.UserRoleAdmin)
	require.Equal(t, 200, users())
	changeRole(authclient.UserRoleUser)
	require.Equal(t, 403, users())

	sessions, err := admin.ListUserSessionsWithResponse(t.Context(), id, nil)
	require.NoError(t, err)
	require.Len(t, sessions.JSON200.Items, 1)
	require.False(t, sessions.JSON200.Items[0].Current)
	ended, err := admin.EndUserSessionsWithResponse(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, 204, ended.StatusCode())
	require.Equal(t, 401, users())
	sent, err := admin.SendUserPasswordResetWithResponse(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, 202, sent.StatusCode())
	mailed(t, box, email, "Choose a new password")

	// Deleted: nothing is found any more, and the address is free.
	admin.grant(t, id, 100)
	deleted, err := admin.DeleteUserWithResponse(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, 204, deleted.StatusCode())
	require.Equal(t, 401, logIn().StatusCode())
	for _, gone := range []struct{ method, path, body string }{
		{"GET", "", ""},
		{"PATCH", "", `{"name":"x"}`},
		{"DELETE", "", ""},
		{"POST", "/suspend", `{"reason":"x"}`},
		{"POST", "/unsuspend", ""},
		{"GET", "/sessions", ""},
		{"DELETE", "/sessions", ""},
		{"POST", "/password-reset", ""},
		{"POST", "/credits/grants", `{"amount":1}`},
	} {
		response, answer := admin.send(t, gone.method, "/v1/users/"+id.String()+gone.path, gone.body, "Idempotency-Key", uuid.NewString())
		require.Equal(t, 404, response.StatusCode, "%s %s %s", gone.method, gone.path, answer)
		require.Equal(t, "user_not_found", problemOf(t, answer).Code)
	}
	free, err := s.anonymous(t).RegisterUserWithResponse(t.Context(), authclient.RegisterRequest{Email: email, Password: testPassword})
	require.NoError(t, err)
	require.Equal(t, 201, free.StatusCode())
}

// A key with every scope is still no administrator.
func TestUsers_KeysCannotTouchAdministrators(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, backend := s.admin(t), s.backend(t, without("")...)
	user := s.user(t)
	base := "/v1/users/" + admin.id().String()
	for _, try := range []struct{ method, path, body string }{
		{"POST", "/v1/users", `{"email":"mallory@example.com","role":"admin"}`},
		{"PATCH", "/v1/users/" + user.id().String(), `{"role":"admin"}`},
		{"PATCH", base, `{"role":"user"}`},
		{"PATCH", base, `{"name":"x"}`},
		{"POST", base + "/suspend", `{"reason":"x"}`},
		{"POST", base + "/unsuspend", ""},
		{"POST", base + "/password-reset", ""},
		{"DELETE", base + "/sessions", ""},
		{"DELETE", base, ""},
	} {
		response, body := backend.send(t, try.method, try.path, try.body)
		require.Equal(t, 403, response.StatusCode, "%s %s", try.method, try.path)
		require.Equal(t, "admin_required", problemOf(t, body).Code)
	}
	require.Zero(t, admin.balance(t).Balance, "still logged in")
}

func TestUsers_LastAdministrator(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin := s.admin(t)
	base := "/v1/users/" + admin.id().String()
	for _, try := range []struct{ method, path, body string }{
		{"PATCH", base, `{"role":"user"}`},
		{"POST", base + "/suspend", `{"reason":"x"}`},
		{"DELETE", base, ""},
		{"DELETE", "/v1/me", `{"password":"` + testPassword + `"}`},
	} {
		response, body := admin.send(t, try.method, try.path, try.body)
		require.Equal(t, 409, response.StatusCode, "%s %s", try.method, try.path)
		require.Equal(t, "last_admin", problemOf(t, body).Code)
	}
}

// What a body must not set, it does not, in no spelling.
func TestFields_CannotBeSet(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	for _, field := range []string{"role", "ROLE", "Role", "r\\u006fle", "status", "email_verified", "emailVerified", "balance", "id", "email", "password_hash", "suspension", "created_at"} {
		for path, body := range map[string]string{
			"PATCH /v1/me":                          `{"name":"x","%s":"admin"}`,
			"POST /v1/auth/register":                `{"email":"x@example.com","password":"` + testPassword + `","%s":"admin"}`,
			"PUT /v1/me/password":                   `{"current_password":"` + testPassword + `","new_password":"` + otherPassword + `","%s":true}`,
			"PATCH /v1/users/" + user.id().String(): `{"name":"x","%s":"admin"}`,
			"POST /v1/me/credits/debits":            `{"amount":1,"%s":1000}`,
		} {
			method, path, _ := strings.Cut(path, " ")
			response, answer := user.send(t, method, path, strings.Replace(body, "%s", field, 1), "Idempotency-Key", uuid.NewString())
			require.Contains(t, []int{400, 403, 422}, response.StatusCode, "%s %s %s %s", method, path, field, answer)
		}
	}
	for _, query := range []string{"?role=admin", "?email_verified=true"} {
		response, _ := user.send(t, http.MethodPatch, "/v1/me"+query, `{"name":"y"}`)
		require.Less(t, response.StatusCode, 500)
	}
	me, err := user.GetMeWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, authclient.UserRoleUser, me.JSON200.Role)
	require.False(t, me.JSON200.EmailVerified)
	require.Equal(t, user.session.User.Email, me.JSON200.Email)
}

func TestMySessions(t *testing.T) {
	t.Parallel()
	s := startService(t, "AUTH_MAX_SESSIONS=3")
	user, stranger := s.user(t), s.user(t)
	another := func() *caller {
		in, err := s.anonymous(t).LogInWithResponse(t.Context(), authclient.LoginRequest{Email: user.session.User.Email, Password: testPassword})
		require.NoError(t, err)
		return s.withSession(t, *in.JSON200)
	}
	list := func(c *caller) []authclient.SessionInfo {
		l, err := c.ListMySessionsWithResponse(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, 200, l.StatusCode())
		return l.JSON200.Items
	}
	alive := func(c *caller) bool {
		response, _ := c.send(t, http.MethodGet, "/v1/me", "")
		return response.StatusCode == http.StatusOK
	}
	second, third := another(), another()
	mine := list(third)
	require.Len(t, mine, 3)
	require.True(t, mine[0].Current)
	require.Equal(t, "127.0.0.1", mine[0].IP.MustGet())

	theirs, err := stranger.EndMySessionWithResponse(t.Context(), mine[1].ID)
	require.NoError(t, err)
	require.Equal(t, "session_not_found", problemOf(t, theirs.Body).Code)
	require.True(t, alive(second))
	ended, err := third.EndMySessionWithResponse(t.Context(), mine[1].ID)
	require.NoError(t, err)
	require.Equal(t, 204, ended.StatusCode())
	require.False(t, alive(second))

	fourth, fifth := another(), another()
	require.False(t, alive(user), "beyond the limit the oldest has ended")
	require.Len(t, list(fifth), 3)
	others, err := fifth.EndMyOtherSessionsWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, 204, others.StatusCode())
	require.False(t, alive(third) || alive(fourth))
	require.True(t, alive(fifth))
	yes := true
	_, err = fifth.EndMyOtherSessionsWithResponse(t.Context(), &authclient.EndMyOtherSessionsParams{IncludeCurrent: &yes})
	require.NoError(t, err)
	require.False(t, alive(fifth))
}

func TestMyAccount_ExportAndDelete(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, user := s.admin(t), s.user(t)
	for range 3 {
		admin.grant(t, user.id(), 100)
	}
	user.debit(t, "k", authclient.DebitRequest{Amount: 30})
	name := "Ada"
	_, err := user.UpdateMeWithResponse(t.Context(), authclient.UpdateMeRequest{Name: &name})
	require.NoError(t, err)

	exported, err := user.ExportMeWithResponse(t.Context())
	require.NoError(t, err)
	require.NotNil(t, exported.JSON200, string(exported.Body))
	held := *exported.JSON200
	require.Equal(t, name, held.User.Name)
	require.Len(t, held.Sessions, 1)
	require.Len(t, held.Credits.Grants, 3)
	require.Len(t, held.Credits.Transactions, 4)
	require.EqualValues(t, 270, held.Credits.Balance.Balance)
	types := map[authclient.AuditEventType]int{}
	for _, e := range held.AuditEvents {
		types[e.Type]++
	}
	require.Equal(t, map[authclient.AuditEventType]int{"user_created": 1, "authn_login_success": 1, "user_updated": 1}, types)

	remove := func(password string) *authclient.DeleteMeResponse {
		r, err := user.DeleteMeWithResponse(t.Context(), authclient.DeleteMeRequest{Password: password})
		require.NoError(t, err)
		return r
	}
	require.Equal(t, 403, remove(otherPassword).StatusCode())
	require.Equal(t, 204, remove(testPassword).StatusCode())
	response, _ := user.send(t, http.MethodGet, "/v1/me", "")
	require.Equal(t, 401, response.StatusCode)

	// The ledger stays, without the person.
	balance, err := admin.GetUserCreditsWithResponse(t.Context(), user.id(), nil)
	require.NoError(t, err)
	require.EqualValues(t, 270, balance.JSON200.Balance)
}

func TestAPIKeys_Rotate(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin := s.admin(t)
	created, err := admin.CreateAPIKeyWithResponse(t.Context(), authclient.CreateAPIKeyRequest{Name: "k", Scopes: []authclient.Scope{authclient.ScopeUsersRead}})
	require.NoError(t, err)
	works := func(key string) bool {
		response, _ := s.anonymous(t).send(t, http.MethodGet, "/v1/users", "", "X-API-Key", key)
		return response.StatusCode == http.StatusOK
	}
	rotate := func(id uuid.UUID, overlap *int) *authclient.RotateAPIKeyResponse {
		r, err := admin.RotateAPIKeyWithResponse(t.Context(), id, authclient.RotateAPIKeyRequest{Overlap: overlap})
		require.NoError(t, err)
		return r
	}
	first := rotate(created.JSON201.ID, nil).JSON200
	require.Equal(t, created.JSON201.ID, first.ID)
	require.WithinDuration(t, time.Now().Add(24*time.Hour), first.PreviousExpiresAt.MustGet(), time.Minute)
	require.True(t, works(created.JSON201.Key) && works(first.Key))
	none := 0
	second := rotate(created.JSON201.ID, &none).JSON200
	require.False(t, works(created.JSON201.Key) || works(first.Key))
	require.True(t, works(second.Key))
	require.Equal(t, "api_key_not_found", problemOf(t, rotate(uuid.New(), nil).Body).Code)
}

func TestAuditEvents(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, user := s.admin(t), s.user(t)
	_, _ = s.anonymous(t).send(t, http.MethodPost, "/v1/auth/login", `{"email":"`+user.session.User.Email+`","password":"wrong"}`, "User-Agent", "probe", "X-Request-ID", "req-1")
	role := authclient.UserRoleAdmin
	_, err := admin.UpdateUserWithResponse(t.Context(), user.id(), authclient.UpdateUserRequest{Role: &role})
	require.NoError(t, err)

	target := user.id()
	listed, err := admin.ListAuditEventsWithResponse(t.Context(), &authclient.ListAuditEventsParams{TargetID: &target})
	require.NoError(t, err)
	require.Equal(t, 200, listed.StatusCode(), string(listed.Body))
	var types []string
	for _, e := range listed.JSON200.Items {
		types = append(types, string(e.Type))
	}
	require.Equal(t, []string{"privilege_permissions_changed", "authn_login_fail", "authn_login_success", "user_created"}, types)
	change, failure := listed.JSON200.Items[0], listed.JSON200.Items[1]
	require.Equal(t, admin.id(), change.Actor.ID.MustGet())
	require.JSONEq(t, `{"before":"user","after":"admin"}`, string(change.Details))
	require.Equal(t, "probe", failure.UserAgent.MustGet())
	require.Equal(t, "req-1", failure.RequestID.MustGet())
	require.Equal(t, authclient.AuditActorTypeAnonymous, failure.Actor.Type)

	// Page by page, and between two moments.
	one, seen := 1, 0
	var cursor *string
	for {
		page, err := admin.ListAuditEventsWithResponse(t.Context(), &authclient.ListAuditEventsParams{TargetID: &target, Limit: &one, Cursor: cursor, From: &listed.JSON200.Items[3].CreatedAt, To: &change.CreatedAt})
		require.NoError(t, err)
		for _, e := range page.JSON200.Items {
			seen++
			require.Equal(t, listed.JSON200.Items[seen].ID, e.ID)
		}
		if page.JSON200.NextCursor.IsNull() {
			break
		}
		next := page.JSON200.NextCursor.MustGet()
		cursor = &next
	}
	require.Equal(t, 3, seen)
	var raw map[string]any
	require.NoError(t, json.Unmarshal(listed.Body, &raw))
	require.NotContains(t, string(listed.Body), user.session.User.Email)
}
