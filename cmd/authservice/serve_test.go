package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgtest"
)

// runOnce runs a command that ends by itself.
func runOnce(t *testing.T, args []string, environ ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, problems bytes.Buffer
	code = run(ctx, args, env{stdin: strings.NewReader(""), stdout: &out, stderr: &problems, environ: environ})
	return code, out.String(), problems.String()
}

func TestServe_RefusesSettings(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile(filepath.Join("..", "..", ".env.example"))
	require.NoError(t, err)
	const key = "AUTH_ENCRYPTION_KEY=6OOUVzmyc5NXWmvzkyJ6jCl6q9mZ0fCqTn2wZ2vZ0hE="
	tests := map[string]struct {
		environ []string
		names   []string
	}{
		"Nothing":       {nil, []string{"DATABASE_URL", "AUTH_ENCRYPTION_KEY"}},
		"Empty":         {[]string{"DATABASE_URL=", "AUTH_ENCRYPTION_KEY="}, []string{"DATABASE_URL", "AUTH_ENCRYPTION_KEY"}},
		"Example":       {strings.Split(string(example), "\n"), []string{"DATABASE_URL", "AUTH_ENCRYPTION_KEY"}},
		"ShortKey":      {[]string{"DATABASE_URL=postgres://x/y", "AUTH_ENCRYPTION_KEY=c2hvcnQ="}, []string{"AUTH_ENCRYPTION_KEY"}},
		"RegularKey":    {[]string{"DATABASE_URL=postgres://x/y", "AUTH_ENCRYPTION_KEY=" + strings.Repeat("0", 64)}, []string{"AUTH_ENCRYPTION_KEY"}},
		"WeakPepper":    {[]string{"DATABASE_URL=postgres://x/y", key, "AUTH_PASSWORD_PEPPER=pepper-canary"}, []string{"AUTH_PASSWORD_PEPPER"}},
		"CheapBcrypt":   {[]string{"DATABASE_URL=postgres://x/y", key, "AUTH_BCRYPT_COST=9"}, []string{"AUTH_BCRYPT_COST"}},
		"PlainHTTP":     {[]string{"DATABASE_URL=postgres://x/y", key, "AUTH_PUBLIC_URL=http://canary.example.com"}, []string{"AUTH_PUBLIC_URL"}},
		"Misspelt":      {[]string{"DATABASE_URL=postgres://x/y", key, "AUTH_HTP_ADDR=canary"}, []string{"AUTH_HTP_ADDR"}},
		"NoDuration":    {[]string{"DATABASE_URL=postgres://x/y", key, "AUTH_ACCESS_TOKEN_TTL=canary"}, []string{"AUTH_ACCESS_TOKEN_TTL"}},
		"SeveralAtOnce": {[]string{"AUTH_BCRYPT_COST=99", "AUTH_LOG_LEVEL=canary"}, []string{"DATABASE_URL", "AUTH_ENCRYPTION_KEY", "AUTH_BCRYPT_COST", "AUTH_LOG_LEVEL"}},
		"DatabaseURL":   {[]string{"DATABASE_URL=canary://[", key, "AUTH_HTTP_ADDR=127.0.0.1:0", "AUTH_OPS_ADDR=127.0.0.1:0"}, []string{"DATABASE_URL"}},
		"DatabaseGone":  {[]string{"DATABASE_URL=postgres://u:canary@127.0.0.1:1/x", key, "AUTH_HTTP_ADDR=127.0.0.1:0", "AUTH_OPS_ADDR=127.0.0.1:0"}, []string{"DATABASE_URL"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := runOnce(t, []string{"serve"}, test.environ...)
			require.Equal(t, 1, code)
			for _, variable := range test.names {
				require.Contains(t, stderr, variable+": ")
			}
			for _, secret := range []string{"canary", "c2hvcnQ", "change-me", strings.Repeat("0", 64)} {
				require.NotContains(t, stdout+stderr, secret)
			}
		})
	}
}

func TestServe_AddressInUse(t *testing.T) {
	t.Parallel()
	s := startService(t)
	code, _, stderr := runOnce(t, []string{"serve"}, append(s.environ, "AUTH_HTTP_ADDR="+strings.TrimPrefix(s.url, "http://"))...)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "AUTH_HTTP_ADDR: ")
	require.Contains(t, stderr, "in use")
}

func TestServe_WrongEncryptionKey(t *testing.T) {
	t.Parallel()
	s := startService(t)
	code, _, stderr := runOnce(t, []string{"serve"}, append(s.environ, "AUTH_ENCRYPTION_KEY=6OOUVzmyc5NXWmvzkyJ6jCl6q9mZ0fCqTn2wZ2vZ0hE=")...)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "AUTH_ENCRYPTION_KEY: ")
}

func TestServe_Migrations(t *testing.T) {
	t.Parallel()
	key := "AUTH_ENCRYPTION_KEY=6OOUVzmyc5NXWmvzkyJ6jCl6q9mZ0fCqTn2wZ2vZ0hE="
	addresses := []string{key, "AUTH_HTTP_ADDR=127.0.0.1:0", "AUTH_OPS_ADDR=127.0.0.1:0", "AUTH_BCRYPT_COST=10"}

	t.Run("TheOwnerMigratesAtStart", func(t *testing.T) {
		t.Parallel()
		db := pgtest.Empty(t)
		s := startServiceOn(t, &pgtest.Database{URL: db}, addresses...)
		require.NotEmpty(t, s.user(t).session.AccessToken)
		require.Zero(t, s.stop())
	})
	t.Run("UnlessToldNotTo", func(t *testing.T) {
		t.Parallel()
		code, _, stderr := runOnce(t, []string{"serve"}, append(addresses, "DATABASE_URL="+pgtest.Empty(t), "AUTH_DATABASE_MIGRATE=false")...)
		require.Equal(t, 1, code)
		require.Contains(t, stderr, "authservice migrate up")
	})
	t.Run("Command", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "url")
		require.NoError(t, os.WriteFile(file, []byte(pgtest.Empty(t)+"\n"), 0o600))
		url := "DATABASE_URL=file:" + file
		_, before, _ := runOnce(t, []string{"migrate", "status"}, url)
		code, _, stderr := runOnce(t, []string{"migrate", "up"}, url)
		require.Zero(t, code, stderr)
		_, after, _ := runOnce(t, []string{"migrate", "status"}, url)
		require.Contains(t, before, "[ ] 20261123000001_identity.sql")
		require.Equal(t, strings.ReplaceAll(before, "[ ]", "[x]"), after)
		code, _, stderr = runOnce(t, []string{"migrate", "down"}, url)
		require.Zero(t, code, stderr)
		_, last, _ := runOnce(t, []string{"migrate", "status"}, url)
		require.Equal(t, 1, strings.Count(last, "[ ]"))
	})
}

// In production the service says what its login could do beside its work.
func TestServe_WarnsOfPowerfulRoles(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for url, warned := range map[string]bool{db.URL: false, db.OwnerURL: true} {
		s := startServiceOn(t, &pgtest.Database{URL: url}, processKey, "AUTH_ENV=production", "AUTH_BCRYPT_COST=10")
		require.Equal(t, warned, strings.Contains(s.logs.String(), "its role may alter the schema or the ledger"))
		require.NotContains(t, s.logs.String(), "is not verified", "on this machine")
	}
}

// A stopping service finishes what it has begun.
func TestServe_FinishesRequests(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	release := s.lockAccount(t, user)
	status := make(chan int, 1)
	go func() { status <- s.slowDebit(context.Background(), user) }()
	s.requireWaiting(t)

	stopped := make(chan int, 1)
	go func() { stopped <- s.stop() }()
	require.Eventually(t, func() bool {
		_, err := http.Get(s.url + "/health/live")
		return err != nil
	}, 10*time.Second, 10*time.Millisecond)
	release()
	require.Equal(t, 402, <-status)
	require.Zero(t, <-stopped)
}

// A client that hangs up is no error of the service. What it asked for is done
// once or not at all; by asking again it learns which.
func TestServe_ClientGone(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	s.admin(t).grant(t, user.id(), 10)
	release := s.lockAccount(t, user)
	ctx, hangUp := context.WithCancel(t.Context())
	status := make(chan int, 1)
	go func() { status <- s.slowDebit(ctx, user) }()
	s.requireWaiting(t)
	hangUp()
	require.Equal(t, -1, <-status)
	require.Eventually(t, func() bool { return strings.Contains(s.logs.String(), `"authservice.client_gone":true`) }, 10*time.Second, 10*time.Millisecond)
	release()
	require.Equal(t, http.StatusCreated, s.slowDebit(t.Context(), user))
	require.EqualValues(t, 9, user.balance(t).Balance)
	require.NotContains(t, s.logs.String(), `"log.level":"error"`)
}

// lockAccount makes all debits of a user wait, until release is called.
func (s *service) lockAccount(t *testing.T, user *caller) (release func()) {
	t.Helper()
	owner := s.db.Owner(t)
	tx, err := owner.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT 1 FROM credit_accounts WHERE user_id = $1 FOR UPDATE", user.id())
	require.NoError(t, err)
	return func() { require.NoError(t, tx.Commit(t.Context())) }
}

// requireWaiting waits until somebody waits for a lock in the test's database.
func (s *service) requireWaiting(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		var waiting int
		err := s.db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting)
		return err == nil && waiting > 0
	}, 10*time.Second, 10*time.Millisecond)
}

// slowDebit is a debit without a test to fail: it returns the status, or -1.
func (s *service) slowDebit(ctx context.Context, user *caller) (status int) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/me/credits/debits", strings.NewReader(`{"amount":1}`))
	if err != nil {
		return -1
	}
	r.Header = http.Header{"Authorization": {"Bearer " + user.session.AccessToken}, "Content-Type": {"application/json"}, "Idempotency-Key": {"k"}}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return -1
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

func TestUsersCreate(t *testing.T) {
	t.Parallel()
	s := startService(t)
	create := func(password string, args ...string) (int, string) {
		var out bytes.Buffer
		code := run(t.Context(), append([]string{"users", "create"}, args...), env{stdin: strings.NewReader(password), stdout: &out, stderr: &out, environ: s.environ})
		return code, out.String()
	}
	code, out := create(testPassword, "--email", "Op@Example.com")
	require.Zero(t, code, out)
	require.Contains(t, out, "op@example.com user")
	code, out = create(testPassword, "--email", "op@example.com", "--admin")
	require.Equal(t, 1, code)
	require.Contains(t, out, "exists")
	code, out = create("short", "--email", "other@example.com")
	require.Equal(t, 1, code)
	require.Contains(t, out, "at least 8 characters")
	code, out = create(testPassword)
	require.Equal(t, 1, code)
	require.Contains(t, out, "email")
}

func TestVersion(t *testing.T) {
	t.Parallel()
	code, out, _ := runOnce(t, []string{"version"})
	require.Zero(t, code)
	require.Contains(t, out, "API "+contract().Info.Version)
}

func TestDotEnv(t *testing.T) { //nolint:paralleltest // changes the working directory
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".env"), []byte("AUTH_LOG_LEVEL=fromfile\nAUTH_BCRYPT_COST=99\n"), 0o600))
	_, _, stderr := runOnce(t, []string{"serve"}, "AUTH_BCRYPT_COST=12")
	require.Contains(t, stderr, "AUTH_LOG_LEVEL: ", "read from the file")
	require.NotContains(t, stderr, "AUTH_BCRYPT_COST", "the environment wins")
}
