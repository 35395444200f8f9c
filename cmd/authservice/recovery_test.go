package main

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

const otherPassword = "a different and longer password"

func TestRecovery_ForgetAndReset(t *testing.T) {
	t.Parallel()
	s, box := startServiceWithMail(t)
	user, anonymous := s.user(t), s.anonymous(t)
	email := user.session.User.Email

	for _, address := range []string{email, "nobody-" + email} {
		forgot, err := anonymous.ForgotPasswordWithResponse(t.Context(), authclient.ForgotPasswordRequest{Email: address})
		require.NoError(t, err)
		require.Equal(t, 202, forgot.StatusCode())
		require.Empty(t, forgot.Body)
	}
	_, token := mailed(t, box, email, "password")
	require.Empty(t, box.Messages("nobody-"+email))

	reset := func(token, password string) *authclient.ResetPasswordResponse {
		r, err := anonymous.ResetPasswordWithResponse(t.Context(), authclient.ResetPasswordRequest{Token: token, NewPassword: password})
		require.NoError(t, err)
		return r
	}
	// A password that cannot be uses nothing up.
	require.Equal(t, "/new_password", problemOf(t, reset(token, "password123").Body).Errors[0].Pointer)
	require.Equal(t, "invalid_token", problemOf(t, reset("aset_made-up", otherPassword).Body).Code)
	statuses := make([]int, 100)
	parallel(100, func(i int) { statuses[i] = reset(token, otherPassword).StatusCode() })
	counts := map[int]int{}
	for _, status := range statuses {
		counts[status]++
	}
	require.Equal(t, 1, counts[204], "%v", counts)
	require.Zero(t, counts[500])

	me, err := user.GetMeWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, 401, me.StatusCode(), "all sessions have ended")
	for password, want := range map[string]int{testPassword: 401, otherPassword: 200} {
		in, err := anonymous.LogInWithResponse(t.Context(), authclient.LoginRequest{Email: email, Password: password})
		require.NoError(t, err)
		require.Equal(t, want, in.StatusCode())
		if want == 200 {
			require.True(t, in.JSON200.User.EmailVerified, "the link has shown that the address is theirs")
		}
	}
	mailed(t, box, email, "was changed")
}

func TestRecovery_VerifyBeforeTheFirstLogin(t *testing.T) {
	t.Parallel()
	s, box := startServiceWithMail(t, "AUTH_REQUIRE_EMAIL_VERIFICATION=true")
	anonymous := s.anonymous(t)
	email := uuid.NewString() + "@example.com"
	register := func() *authclient.RegisterUserResponse {
		r, err := anonymous.RegisterUserWithResponse(t.Context(), authclient.RegisterRequest{Email: email, Password: testPassword})
		require.NoError(t, err)
		return r
	}
	logIn := func() *authclient.LogInResponse {
		r, err := anonymous.LogInWithResponse(t.Context(), authclient.LoginRequest{Email: email, Password: testPassword})
		require.NoError(t, err)
		return r
	}
	require.Equal(t, 202, register().StatusCode())
	_, first := mailed(t, box, email, "Confirm")
	require.Equal(t, "email_not_verified", problemOf(t, logIn().Body).Code)

	resent, err := anonymous.ResendVerificationWithResponse(t.Context(), authclient.ResendVerificationRequest{Email: email})
	require.NoError(t, err)
	require.Equal(t, 202, resent.StatusCode())
	require.Eventually(t, func() bool { return len(box.Messages(email)) == 2 }, eventually, aMoment)
	_, second := mailed(t, box, email, "Confirm")
	verify := func(token string) *authclient.VerifyEmailResponse {
		r, err := anonymous.VerifyEmailWithResponse(t.Context(), authclient.VerifyEmailRequest{Token: token})
		require.NoError(t, err)
		return r
	}
	require.Equal(t, "invalid_token", problemOf(t, verify(first).Body).Code, "replaced by the second")
	require.Equal(t, 204, verify(second).StatusCode())
	require.Equal(t, 400, verify(second).StatusCode(), "once")
	require.True(t, logIn().JSON200.User.EmailVerified)

	// Whoever registers a known address is answered alike; only the mailbox learns.
	again := register()
	require.Equal(t, 202, again.StatusCode())
	require.Empty(t, again.Body)
	mailed(t, box, email, "already")
}

func TestRecovery_ChangeOfAddress(t *testing.T) {
	t.Parallel()
	s, box := startServiceWithMail(t)
	user, other := s.user(t), s.user(t)
	old, next := user.session.User.Email, "new-"+user.session.User.Email
	change := func(email, password string) *authclient.ChangeMyEmailResponse {
		r, err := user.ChangeMyEmailWithResponse(t.Context(), authclient.ChangeEmailRequest{NewEmail: email, Password: password})
		require.NoError(t, err)
		return r
	}
	verify := func(token string) *authclient.VerifyEmailResponse {
		r, err := s.anonymous(t).VerifyEmailWithResponse(t.Context(), authclient.VerifyEmailRequest{Token: token})
		require.NoError(t, err)
		return r
	}
	email := func() string {
		me, err := user.GetMeWithResponse(t.Context())
		require.NoError(t, err)
		return me.JSON200.Email
	}
	require.Equal(t, 403, change(next, otherPassword).StatusCode())
	require.Equal(t, "/new_email", problemOf(t, change("nonsense@", testPassword).Body).Errors[0].Pointer)
	require.Equal(t, "/new_email", problemOf(t, change(old, testPassword).Body).Errors[0].Pointer)

	// Taken already: answered alike, and its owner is told.
	require.Equal(t, 202, change(other.session.User.Email, testPassword).StatusCode())
	mailed(t, box, other.session.User.Email, "already")

	require.Equal(t, 202, change(next, testPassword).StatusCode())
	_, token := mailed(t, box, next, "new e-mail address for")
	require.Equal(t, old, email(), "not before it is confirmed")
	require.Equal(t, 204, verify(token).StatusCode())
	require.Equal(t, next, email())
	mailed(t, box, old, "has a new e-mail")

	// Taken between asking and confirming.
	third := "third-" + old
	require.Equal(t, 202, change(third, testPassword).StatusCode())
	_, token = mailed(t, box, third, "new e-mail address for")
	taken, err := s.anonymous(t).RegisterUserWithResponse(t.Context(), authclient.RegisterRequest{Email: third, Password: testPassword})
	require.NoError(t, err)
	require.Equal(t, 201, taken.StatusCode())
	require.Equal(t, "email_taken", problemOf(t, verify(token).Body).Code)
	require.Equal(t, next, email())
}

func TestRecovery_ChangeOfPassword(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	in, err := s.anonymous(t).LogInWithResponse(t.Context(), authclient.LoginRequest{Email: user.session.User.Email, Password: testPassword})
	require.NoError(t, err)
	elsewhere := s.withSession(t, *in.JSON200)
	change := func(current, next string) *authclient.ChangeMyPasswordResponse {
		r, err := user.ChangeMyPasswordWithResponse(t.Context(), authclient.ChangePasswordRequest{CurrentPassword: current, NewPassword: next})
		require.NoError(t, err)
		return r
	}
	wrong := change(otherPassword, otherPassword)
	require.Equal(t, 403, wrong.StatusCode())
	require.Equal(t, "invalid_credentials", problemOf(t, wrong.Body).Code)
	for _, bad := range []string{testPassword, "password123", user.session.User.Email, "Password1"} {
		require.Equal(t, "/new_password", problemOf(t, change(testPassword, bad).Body).Errors[0].Pointer, bad)
	}
	require.Equal(t, 204, change(testPassword, otherPassword).StatusCode())
	require.Zero(t, user.balance(t).Balance, "this session goes on")
	response, _ := elsewhere.send(t, http.MethodGet, "/v1/me", "")
	require.Equal(t, 401, response.StatusCode, "the others have ended")
}
