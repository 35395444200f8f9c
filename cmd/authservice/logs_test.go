package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
	"github.com/authservice/authservice/internal/telemetry"
)

var update = flag.Bool("update", false, "write the golden files")

// logged waits for the lines of a request, and returns them as they were written.
func (s *service) logged(t *testing.T, requestID string, n int) (lines []string) {
	t.Helper()
	require.Eventually(t, func() bool {
		lines = nil
		for line := range strings.Lines(s.logs.String()) {
			if strings.Contains(line, requestID) {
				lines = append(lines, line)
			}
		}
		return len(lines) >= n
	}, eventually, aMoment, "%s\n%s", requestID, s.logs)
	require.Len(t, lines, n)
	return lines
}

// Every request leaves one line, every event another; what they look like is
// compared with testdata/log.
func TestLogs_Golden(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user, admin := s.user(t), s.admin(t)
	email := uuid.NewString() + "@example.com"
	registered, err := s.anonymous(t).RegisterUserWithResponse(t.Context(), authclient.RegisterRequest{Email: email, Password: testPassword})
	require.NoError(t, err)
	require.Equal(t, 201, registered.StatusCode())

	debit := func(body string) func() (requestID string) {
		return func() string {
			response, _ := user.send(t, "POST", "/v1/me/credits/debits?x=secret", body, "Idempotency-Key", uuid.NewString(), "User-Agent", "curl/8.14.1", "X-Request-ID", "request-"+uuid.NewString())
			return response.Header.Get("X-Request-ID")
		}
	}
	logIn := func(password string) func() string {
		return func() string {
			body, err := json.Marshal(map[string]string{"email": email, "password": password})
			require.NoError(t, err)
			response, _ := s.anonymous(t).send(t, "POST", "/v1/auth/login", string(body), "User-Agent", "curl/8.14.1")
			return response.Header.Get("X-Request-ID")
		}
	}
	admin.grant(t, user.id(), 100)
	for _, test := range []struct {
		name  string
		do    func() (requestID string)
		lines int
	}{
		{"success", debit(`{"amount":1}`), 2},
		{"refusal", debit(`{"amount":1000}`), 1},
		{"validation_error", debit(`{"amount":0,"metadata":[]}`), 1},
		{"login_success", logIn(testPassword), 2},
		{"login_failed", logIn("wrong " + testPassword), 2},
		{"not_found", func() string {
			response, _ := s.anonymous(t).send(t, "BREW", "/no/%1b%5B31m/such@example.com/"+strings.Repeat("x", 1000), "", "User-Agent", "odd\tagent "+strings.Repeat("y", 1000))
			return response.Header.Get("X-Request-ID")
		}, 1},
		{"internal_error", func() string {
			_, err := s.db.Owner(t).Exec(t.Context(), "ALTER TABLE audit_events RENAME TO lost")
			require.NoError(t, err)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/audit-events", nil)
			require.NoError(t, err)
			r.Header = http.Header{"Authorization": {"Bearer " + admin.session.AccessToken}, "User-Agent": {"curl/8.14.1"}}
			response, err := http.DefaultClient.Do(r) // the contract's client takes no 500
			require.NoError(t, err)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Equal(t, 500, response.StatusCode)
			require.NotContains(t, string(body), "audit_events")
			return response.Header.Get("X-Request-ID")
		}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			for _, line := range s.logged(t, test.do(), test.lines) {
				got += indented(t, line)
			}
			golden := filepath.Join("testdata", "log", test.name+".json")
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o755))
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got, "go test ./cmd/authservice -run Golden -update")
		})
	}
}

var varying = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`"@timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"`), `"@timestamp":"TIME"`},
	{regexp.MustCompile(`(request-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "${1}UUID"},
	{regexp.MustCompile(`("(?:event.sequence|event.duration|authservice.database.\w+|http.response.body.bytes)"):\d+`), "$1:0"},
	{regexp.MustCompile(`"(service.version|service.node.name)":"[^"]+"`), `"$1":"VARIES"`},
	// Of a stack the first functions, which say where it began.
	{regexp.MustCompile(`github\.com/authservice/authservice/internal/(\S+?)\\n\\t[^\\]+:\d+\\n`), "$1 "},
	{regexp.MustCompile(`("error.stack_trace":"(?:\S+ ){3})[^"]*`), "$1…"},
}

// indented is a line for people to compare: a member a line, without what is
// another each time.
func indented(t *testing.T, line string) string {
	t.Helper()
	for _, v := range varying {
		line = v.what.ReplaceAllString(line, v.with)
	}
	require.True(t, json.Valid([]byte(line)), line)
	var b bytes.Buffer
	require.NoError(t, json.Indent(&b, []byte(line), "", "  "))
	return b.String()
}

// The setting's documentation names the loggers that there are.
func TestLogs_LoggersAreDocumented(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("../../.env.example")
	require.NoError(t, err)
	require.Contains(t, string(example), "("+strings.Join(telemetry.Rooms, ", ")+")")
}
