package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

const (
	eventually = 20 * time.Second
	aMoment    = 10 * time.Millisecond
)

// Each limit answers 429 with when to come back; clients are told apart behind a trusted proxy.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := startService(t, "AUTH_TRUSTED_PROXIES=127.0.0.0/8",
		"AUTH_LIMIT_LOGIN_PAIR=3/1h", "AUTH_LIMIT_REGISTER=2/1h", "AUTH_LIMIT_MAIL_ADDRESS=2/1h",
		"AUTH_LIMIT_LINK=2/1h", "AUTH_LIMIT_REFRESH=2/1h", "AUTH_LIMIT_CONFIRM=2/1h")
	user := s.user(t)
	email := user.session.User.Email
	ask := func(c *caller, from, method, path, body string) (int, string) {
		response, _ := c.send(t, method, path, body, "X-Forwarded-For", "203.0.113.99, "+from)
		return response.StatusCode, response.Header.Get("Retry-After")
	}
	for _, limited := range []struct {
		method, path, body string
		as                 *caller
		within, times      int
	}{
		{"POST", "/v1/auth/login", `{"email":"` + email + `","password":"wrong"}`, s.anonymous(t), 401, 3},
		{"POST", "/v1/auth/password/forgot", `{"email":"a%d@example.com"}`, s.anonymous(t), 202, 2},
		{"POST", "/v1/auth/password/reset", `{"token":"x","new_password":"` + otherPassword + `"}`, s.anonymous(t), 400, 2},
		{"POST", "/v1/auth/email/verify", `{"token":"x"}`, s.anonymous(t), 429, 1},
		{"POST", "/v1/auth/refresh", `{"refresh_token":"x"}`, s.anonymous(t), 401, 2},
		{"POST", "/v1/auth/register", `{"email":"b%d@example.com","password":"` + testPassword + `"}`, s.anonymous(t), 201, 2},
		{"PUT", "/v1/me/password", `{"current_password":"wrong","new_password":"` + otherPassword + `"}`, user, 403, 2},
		{"DELETE", "/v1/me", `{"password":"wrong"}`, user, 429, 1},
		{"POST", "/v1/me/email", `{"new_email":"c@example.com","password":"wrong"}`, user, 429, 1},
	} {
		name := limited.method + " " + limited.path
		body := func(i int) string { return strings.ReplaceAll(limited.body, "%d", strconv.Itoa(i)) }
		for i := range limited.times {
			status, _ := ask(limited.as, "198.51.100.7", limited.method, limited.path, body(i))
			require.Equal(t, limited.within, status, name)
		}
		status, retryAfter := ask(limited.as, "198.51.100.7", limited.method, limited.path, body(9))
		require.Equal(t, 429, status, name)
		seconds, err := strconv.Atoi(retryAfter)
		require.NoError(t, err)
		require.True(t, 1 <= seconds && seconds <= 1800, "%s: %d", name, seconds)
	}
	status, _ := ask(s.anonymous(t), "198.51.100.7", "POST", "/v1/auth/email/resend", `{"email":"z@example.com"}`)
	require.Equal(t, 429, status, "counts together with forgot")

	// Not even the right password from there; from anywhere else it gets in, however often.
	right := `{"email":"` + email + `","password":"` + testPassword + `"}`
	status, _ = ask(s.anonymous(t), "198.51.100.7", "POST", "/v1/auth/login", right)
	require.Equal(t, 429, status)
	for i := range 10 {
		status, _ = ask(s.anonymous(t), "2001:db8::"+strconv.Itoa(i), "POST", "/v1/auth/login", right)
		require.Equal(t, 200, status)
	}
	// One customer's addresses of IPv6 are one.
	for i := range 4 {
		status, _ = ask(s.anonymous(t), fmt.Sprintf("2001:db8:1:2::%d", i), "POST", "/v1/auth/login", `{"email":"`+email+`","password":"wrong"}`)
		require.Equal(t, map[bool]int{true: 401, false: 429}[i < 3], status)
	}
}

func TestLimits_ForwardedHeadersOfStrangersCountNothing(t *testing.T) {
	t.Parallel()
	s := startService(t, "AUTH_LIMIT_LOGIN_PAIR=2/1h")
	for i := range 3 {
		response, _ := s.anonymous(t).send(t, http.MethodPost, "/v1/auth/login", `{"email":"a@example.com","password":"wrong"}`,
			"X-Forwarded-For", "203.0.113."+strconv.Itoa(i), "X-Real-IP", "203.0.113."+strconv.Itoa(i))
		require.Equal(t, map[bool]int{true: 401, false: 429}[i < 2], response.StatusCode)
	}
}

func TestLimits_Off(t *testing.T) {
	t.Parallel()
	s := startService(t, "AUTH_RATE_LIMIT_ENABLED=false", "AUTH_LIMIT_LOGIN_PAIR=1/1h", "AUTH_LIMIT_REGISTER=1/1h")
	statuses := map[int]int{}
	for range 5 {
		in, err := s.anonymous(t).LogInWithResponse(t.Context(), authclient.LoginRequest{Email: "a@example.com", Password: "x"})
		require.NoError(t, err)
		statuses[in.StatusCode()]++
	}
	require.Equal(t, map[int]int{401: 5}, statuses)
}

// A flood of logins is turned away before it takes everything.
func TestLimits_HashQueue(t *testing.T) {
	t.Parallel()
	s := startService(t, "AUTH_BCRYPT_COST=10", "AUTH_BCRYPT_QUEUE=1", "AUTH_BCRYPT_CONCURRENCY=1", "AUTH_RATE_LIMIT_ENABLED=false")
	statuses := make([]int, 20)
	parallel(20, func(i int) {
		r, err := s.anonymous(t).LogInWithResponse(t.Context(), authclient.LoginRequest{Email: "a@example.com", Password: "x"})
		if err == nil {
			statuses[i] = r.StatusCode()
		}
	})
	counts := map[int]int{}
	for _, status := range statuses {
		counts[status]++
	}
	require.NotZero(t, counts[401])
	require.NotZero(t, counts[503])
	require.Equal(t, 20, counts[401]+counts[503])
}
