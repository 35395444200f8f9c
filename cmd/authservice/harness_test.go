package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
	"github.com/authservice/authservice/internal/devmail"
	"github.com/authservice/authservice/internal/pgtest"
	"github.com/authservice/authservice/internal/tokens"
)

const testPassword = "correct horse battery staple"

// service is a running `authservice serve` on a database of its own, which it
// reaches with the run-time role.
type service struct {
	url, opsURL string
	db          *pgtest.Database
	environ     []string
	stop        func() (code int)
	logs        *lockedBuffer
	lenient     bool // another version's, whose answers are not as this contract says
}

func (s *service) transport() http.RoundTripper {
	if s.lenient {
		return http.DefaultTransport
	}
	return contractTransport{}
}

// startService runs the service in this process until the test ends; settings
// are added to those that it needs.
func startService(t *testing.T, settings ...string) *service {
	t.Helper()
	return startServiceOn(t, pgtest.New(t), append([]string{newEncryptionKey()}, settings...)...)
}

// newEncryptionKey is a setting that every service needs.
func newEncryptionKey() string {
	return "AUTH_ENCRYPTION_KEY=" + base64.StdEncoding.EncodeToString(tokens.NewSecret())
}

// startServiceWithMail runs the service with a mail server of the test's own.
func startServiceWithMail(t *testing.T, settings ...string) (*service, *devmail.Mailbox) {
	t.Helper()
	box, mail := startMailbox(t)
	return startService(t, append(mail, settings...)...), box
}

// startMailbox runs a mail server, and returns the settings of a service that sends there.
func startMailbox(t *testing.T) (box *devmail.Mailbox, settings []string) {
	t.Helper()
	box, err := devmail.Start("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, box.Close()) })
	host, port, err := net.SplitHostPort(box.Addr())
	require.NoError(t, err)
	return box, []string{
		"AUTH_SMTP_HOST=" + host, "AUTH_SMTP_PORT=" + port, "AUTH_SMTP_TLS=none",
		"AUTH_SMTP_FROM=Test <no-reply@example.com>", "AUTH_PUBLIC_URL=https://auth.example.com",
	}
}

var linkToken = regexp.MustCompile(`https://auth\.example\.com/[a-z-]+#(?:invited=1&)?token=(\S+)`)

// mailed waits for a mail whose subject has these words, and returns it with
// the token of its link, if it has one.
func mailed(t *testing.T, box *devmail.Mailbox, to, subject string) (message devmail.Message, token string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	message, err := box.Wait(ctx, to, func(m devmail.Message) bool { return strings.Contains(m.Subject, subject) })
	require.NoError(t, err, "%q", subject)
	if found := linkToken.FindStringSubmatch(message.Text); found != nil {
		token = found[1]
	}
	return message, token
}

// environOn is the environment of a service on a database.
func environOn(db *pgtest.Database, settings ...string) []string {
	return append([]string{
		"DATABASE_URL=" + db.URL,
		"AUTH_ENV=staging",
		"AUTH_HTTP_ADDR=127.0.0.1:0",
		"AUTH_OPS_ADDR=127.0.0.1:0",
		"AUTH_BCRYPT_COST=4",
		"AUTH_DATABASE_MIN_CONNS=0",
		"AUTH_HTTP_DRAIN_DELAY=0s",
		"AUTH_DATABASE_SILENCE_TIMEOUT=9s", // of a machine that is only busy
	}, settings...)
}

func startServiceOn(t *testing.T, db *pgtest.Database, settings ...string) *service {
	t.Helper()
	s := &service{db: db, logs: &lockedBuffer{}, environ: environOn(db, settings...)}
	ctx, cancel := context.WithCancel(context.Background())
	reader, writer := io.Pipe()
	exited, code := make(chan struct{}), 0
	go func() {
		defer close(exited)
		code = run(ctx, []string{"serve"}, env{stdin: strings.NewReader(""), stdout: writer, stderr: s.logs, environ: s.environ})
		_ = writer.Close()
	}()
	s.stop = sync.OnceValue(func() int {
		cancel()
		select {
		case <-exited:
			return code
		case <-time.After(30 * time.Second):
			t.Error("the service does not stop")
			return -1
		}
	})
	t.Cleanup(func() { s.stop() })

	ready := make(chan struct{})
	go s.follow(reader, ready)
	select {
	case <-ready:
	case <-exited:
		t.Fatalf("the service exited with %d:\n%s", code, s.logs)
	case <-time.After(30 * time.Second):
		t.Fatalf("the service is not ready:\n%s", s.logs)
	}
	return s
}

// follow collects the log, and learns from it where the service is, once it is ready.
func (s *service) follow(stdout io.Reader, ready chan<- struct{}) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		_, _ = s.logs.Write(append(lines.Bytes(), '\n'))
		var line struct {
			Message string `json:"message"`
			URL     string `json:"authservice.url"`
			OpsURL  string `json:"authservice.ops_url"`
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "ready" {
			s.url, s.opsURL = line.URL, line.OpsURL
			close(ready)
		}
	}
	_, _ = io.Copy(io.Discard, stdout) // a line that is too long must not stop the service
}

// caller is a client of the service with certain credentials.
type caller struct {
	*authclient.ClientWithResponses
	service *service
	session authclient.Session // of a person
	key     string             // of a backend
}

// as returns a client; header is "Authorization", "X-API-Key" or empty.
func (s *service) as(t *testing.T, header, value string) *caller {
	t.Helper()
	client, err := authclient.NewClientWithResponses(s.url,
		authclient.WithHTTPClient(&http.Client{Transport: s.transport(), Timeout: 30 * time.Second}),
		authclient.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			if header != "" {
				r.Header.Set(header, value)
			}
			return nil
		}))
	require.NoError(t, err)
	return &caller{ClientWithResponses: client, service: s}
}

func (s *service) anonymous(t *testing.T) *caller {
	t.Helper()
	return s.as(t, "", "")
}

func (s *service) withSession(t *testing.T, session authclient.Session) *caller {
	t.Helper()
	c := s.as(t, "Authorization", "Bearer "+session.AccessToken)
	c.session = session
	return c
}

// user registers somebody new.
func (s *service) user(t *testing.T) *caller {
	t.Helper()
	r, err := s.anonymous(t).RegisterUserWithResponse(t.Context(), authclient.RegisterRequest{
		Email: uuid.NewString() + "@example.com", Password: testPassword,
	})
	require.NoError(t, err)
	require.NotNil(t, r.JSON201, string(r.Body))
	return s.withSession(t, *r.JSON201)
}

// admin makes an administrator as an operator does, and logs in.
func (s *service) admin(t *testing.T) *caller {
	t.Helper()
	email := uuid.NewString() + "@example.com"
	var out, problems bytes.Buffer
	code := run(t.Context(), []string{"users", "create", "--email", email, "--admin"},
		env{stdin: strings.NewReader(testPassword + "\n"), stdout: &out, stderr: &problems, environ: s.environ})
	require.Zero(t, code, problems.String())
	require.Contains(t, out.String(), email+" admin")
	r, err := s.anonymous(t).LogInWithResponse(t.Context(), authclient.LoginRequest{Email: email, Password: testPassword})
	require.NoError(t, err)
	require.NotNil(t, r.JSON200, string(r.Body))
	return s.withSession(t, *r.JSON200)
}

// backend makes an API key with scopes.
func (s *service) backend(t *testing.T, scopes ...authclient.Scope) *caller {
	t.Helper()
	r, err := s.admin(t).CreateAPIKeyWithResponse(t.Context(), authclient.CreateAPIKeyRequest{Name: "test", Scopes: scopes})
	require.NoError(t, err)
	require.NotNil(t, r.JSON201, string(r.Body))
	c := s.as(t, "X-API-Key", r.JSON201.Key)
	c.key = r.JSON201.Key
	return c
}

// id is the user behind a caller.
func (c *caller) id() uuid.UUID { return c.session.User.ID }

// grant gives a user credits.
func (c *caller) grant(t *testing.T, user uuid.UUID, amount int64) authclient.Transaction {
	t.Helper()
	r, err := c.GrantUserCreditsWithResponse(t.Context(), user,
		&authclient.GrantUserCreditsParams{IdempotencyKey: uuid.NewString()}, authclient.GrantRequest{Amount: amount})
	require.NoError(t, err)
	require.NotNil(t, r.JSON201, string(r.Body))
	return *r.JSON201
}

// debit spends the caller's own credits under a key.
func (c *caller) debit(t *testing.T, key string, request authclient.DebitRequest) *authclient.DebitMyCreditsResponse {
	t.Helper()
	r, err := c.DebitMyCreditsWithResponse(t.Context(), &authclient.DebitMyCreditsParams{IdempotencyKey: key}, request)
	require.NoError(t, err)
	return r
}

func (c *caller) balance(t *testing.T) authclient.Balance {
	t.Helper()
	r, err := c.GetMyCreditsWithResponse(t.Context())
	require.NoError(t, err)
	require.NotNil(t, r.JSON200, string(r.Body))
	return *r.JSON200
}

// hold sets some of a user's credits apart.
func (c *caller) hold(t *testing.T, user uuid.UUID, request authclient.HoldRequest) authclient.Hold {
	t.Helper()
	r, err := c.PlaceUserCreditHoldWithResponse(t.Context(), user, &authclient.PlaceUserCreditHoldParams{IdempotencyKey: uuid.NewString()}, request)
	require.NoError(t, err)
	require.NotNil(t, r.JSON201, string(r.Body))
	return *r.JSON201
}

// batch applies operations under a new key.
func (c *caller) batch(t *testing.T, mode authclient.BatchMode, operations ...authclient.BatchOperation) []authclient.BatchResult {
	t.Helper()
	r, err := c.ApplyCreditBatchWithResponse(t.Context(), &authclient.ApplyCreditBatchParams{IdempotencyKey: uuid.NewString()},
		authclient.BatchRequest{Mode: mode, Operations: operations})
	require.NoError(t, err)
	require.NotNil(t, r.JSON200, string(r.Body))
	require.Len(t, r.JSON200.Results, len(operations))
	return r.JSON200.Results
}

// history is all of the caller's transactions, newest first.
func (c *caller) history(t *testing.T) []authclient.Transaction {
	t.Helper()
	var all []authclient.Transaction
	var cursor *string
	for {
		limit := 200
		r, err := c.ListMyCreditTransactionsWithResponse(t.Context(), &authclient.ListMyCreditTransactionsParams{Limit: &limit, Cursor: cursor})
		require.NoError(t, err)
		require.NotNil(t, r.JSON200, string(r.Body))
		all = append(all, r.JSON200.Items...)
		if r.JSON200.NextCursor.IsNull() {
			return all
		}
		next := r.JSON200.NextCursor.MustGet()
		cursor = &next
	}
}

// send makes a request by hand, for what the generated client cannot say.
func (c *caller) send(t *testing.T, method, path, body string, header ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, c.service.url+path, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	switch {
	case c.key != "":
		r.Header.Set("X-API-Key", c.key)
	case c.session.AccessToken != "":
		r.Header.Set("Authorization", "Bearer "+c.session.AccessToken)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := (&http.Client{Transport: c.service.transport(), Timeout: 30 * time.Second}).Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, answer
}

// problemOf reads an error answer.
func problemOf(t *testing.T, body []byte) authclient.Problem {
	t.Helper()
	var p authclient.Problem
	require.NoError(t, json.Unmarshal(body, &p), string(body))
	return p
}

// lockedBuffer collects what several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var _ fmt.Stringer = (*lockedBuffer)(nil)

// nullables compares what the generated client calls nullable.
var nullables = cmp.Options{
	cmp.Comparer(func(a, b nullable.Nullable[string]) bool { return equalJSON(a, b) }),
	cmp.Comparer(func(a, b nullable.Nullable[uuid.UUID]) bool { return equalJSON(a, b) }),
	cmp.Comparer(func(a, b nullable.Nullable[authclient.NextExpiry]) bool { return equalJSON(a, b) }),
}

func equalJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
