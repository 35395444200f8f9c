package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

// What is done to a service shows in its metrics.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s, box := startServiceWithMail(t, "AUTH_LIMIT_LOGIN_PAIR=2/1h", "AUTH_LIMIT_LOGIN_ADDRESS=1000/1h")
	backend := s.backend(t, authclient.ScopeCreditsGrant)
	email := uuid.NewString() + "@example.com"
	registered, err := s.anonymous(t).RegisterUserWithResponse(t.Context(), authclient.RegisterRequest{Email: email, Password: testPassword})
	require.NoError(t, err)
	user := s.withSession(t, *registered.JSON201)
	_, _ = mailed(t, box, email, "Confirm")
	backend.grant(t, user.id(), 100)
	require.Equal(t, 201, user.debit(t, "a", authclient.DebitRequest{Amount: 60}).StatusCode())
	require.Equal(t, 402, user.debit(t, "b", authclient.DebitRequest{Amount: 60}).StatusCode())
	for range 3 {
		_, err := s.anonymous(t).LogInWithResponse(t.Context(), authclient.LoginRequest{Email: email, Password: "wrong " + testPassword})
		require.NoError(t, err)
	}

	for _, line := range []string{
		`authservice_build_info\{environment="staging",goversion="go1\.[^"]+",revision="[^"]+",version="[^"]+"\} 1`,
		`authservice_http_requests_total\{operation="debitMyCredits",status="201"\} 1`,
		`authservice_http_requests_total\{operation="debitMyCredits",status="402"\} 1`,
		`authservice_http_request_duration_seconds_count\{operation="debitMyCredits"\} 2`,
		`authservice_http_requests_in_flight 0`,
		`authservice_http_refusals_total\{code="insufficient_credits"\} 1`,
		`authservice_http_refusals_total\{code="invalid_credentials"\} 2`,
		`authservice_http_refusals_total\{code="too_many_attempts"\} 1`,
		`authservice_http_database_seconds_total\{operation="debitMyCredits"\} \d`,
		`authservice_http_database_statements_total\{operation="debitMyCredits"\} [1-9]`,
		`authservice_limit_hits_total\{limit="login_pair"\} 1`,
		`authservice_password_hashes_total [1-9]`,
		`authservice_password_hashes_waiting 0`,
		`authservice_database_connections_max 16`,
		`authservice_database_connections\{state="idle"\} \d`,
		`authservice_job_attempts_total\{kind="mail",outcome="done"\} [1-9]`,
		`authservice_job_duration_seconds_count\{kind="mail"\} [1-9]`,
		`authservice_ledger_batch_operations_sum 3`,
		`authservice_ledger_batch_commit_seconds_count [1-3]`,
		`authservice_ledger_postings_total\{type="debit"\} 1`,
		`authservice_ledger_postings_total\{type="grant"\} 1`,
		`authservice_log_lines_total\{level="warn"\} [1-9]`,
		`go_goroutines [1-9]`,
		`process_resident_memory_bytes [1-9]`,
	} {
		require.Eventually(t, func() bool { return regexp.MustCompile(`(?m)^` + line).MatchString(s.scrape(t)) }, eventually, aMoment, line)
	}
}

// However many different things are asked for, the number of series is that of the
// contract's operations, statuses and codes.
func TestMetrics_FewSeries(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	client := func(n int) {
		for i := range n {
			_, _ = user.send(t, http.MethodGet, fmt.Sprintf("/v1/%s/%d", uuid.NewString(), i), "")
			_, _ = user.send(t, http.MethodGet, "/v1/users/"+uuid.NewString()+"/credits", "")
			_, _ = user.send(t, fmt.Sprintf("M%d", i), "/v1/me", "")
			_, _ = user.send(t, http.MethodGet, "/v1/me", "", "X-Request-ID", uuid.NewString(), "User-Agent", uuid.NewString())
		}
	}
	series := func() int { return strings.Count(s.scrape(t), "\nauthservice_http_") }
	client(1)
	require.Eventually(t, func() bool { return strings.Contains(s.scrape(t), `operation="getMe",status="200"} 1`) }, eventually, aMoment)
	before := series()
	client(25)
	require.Equal(t, before, series())

	operations := map[string]bool{"none": true}
	for _, item := range contract().Paths.Map() {
		for _, operation := range item.Operations() {
			operations[operation.OperationID] = true
		}
	}
	for _, label := range regexp.MustCompile(`operation="([^"]*)"`).FindAllStringSubmatch(s.scrape(t), -1) {
		require.True(t, operations[label[1]], label[1])
	}
}
