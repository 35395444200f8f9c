package authclient_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

func TestNew_Refuses(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "auth.example.com", "//auth.example.com", "ftp://auth.example.com", "https://", "https://u:p@auth.example.com", "https://auth.example.com?x", "https://auth.example.com/#x", "https://a b"} {
		_, err := authclient.New(url)
		require.Error(t, err, url)
		_, err = authclient.NewVerifier(url)
		require.Error(t, err, url)
	}
	for _, key := range []string{"", "secret-canary", "ask_ canary", "ask_canary\n"} {
		_, err := authclient.New("https://auth.example.com", authclient.WithAPIKey(key))
		require.Error(t, err)
		require.NotContains(t, err.Error(), "canary")
	}
	_, err := authclient.New("https://auth.example.com", authclient.WithTimeout(0))
	require.Error(t, err)
}

// A service may live below a path.
func TestNew_Path(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/", "/auth", "/auth/"} {
		var asked string
		c := newClient(t, "http://127.0.0.1"+path, authclient.WithTransport(transport(func(r *http.Request) (*http.Response, error) {
			asked = r.URL.Path
			return nil, io.EOF
		})), authclient.WithRetries(authclient.Retries{Attempts: 1}))
		_, err := c.GetMe(t.Context())
		require.Error(t, err)
		require.Equal(t, strings.TrimSuffix(path, "/")+"/v1/me", asked)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func TestError(t *testing.T) {
	t.Parallel()
	ada := newClient(t, shared.BaseURL).WithSession(*register(t, 100), nil)
	_, err := ada.DebitMyCredits(t.Context(), authclient.DebitRequest{Amount: 250}, authclient.WithRequestID("order-7"))
	refusal, ok := errors.AsType[*authclient.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, http.StatusPaymentRequired, refusal.Status)
	require.Equal(t, []int64{250, 100, 150}, []int64{refusal.Required, refusal.Available, refusal.Shortfall})
	require.Equal(t, "order-7", refusal.RequestID)
	require.True(t, authclient.IsCode(err, authclient.CodeUserNotFound, authclient.CodeInsufficientCredits))
	require.False(t, authclient.IsCode(err, authclient.CodeUserNotFound))
	require.False(t, authclient.IsCode(nil, authclient.CodeUserNotFound))
	require.EqualError(t, err, "authclient: 402 insufficient_credits The account has fewer credits available than this needs. (request order-7)")

	_, err = ada.DebitMyCredits(t.Context(), authclient.DebitRequest{Amount: -1})
	require.True(t, authclient.IsCode(err, authclient.CodeValidationFailed))
	require.ErrorContains(t, err, "/amount must be at least 1.")
}

// What a proxy says is no problem of the service, but an error all the same.
func TestError_OfSomebodyElse(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"text/html", "application/problem+json"} {
		c := newClient(t, "http://127.0.0.1", authclient.WithTransport(transport(func(r *http.Request) (*http.Response, error) {
			body := io.NopCloser(strings.NewReader("<html>"))
			return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {contentType}}, Body: body, Request: r}, nil
		})))
		_, err := c.GetMe(t.Context())
		refusal, ok := errors.AsType[*authclient.Error](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, http.StatusForbidden, refusal.Status)
		require.Empty(t, refusal.Code)
		require.EqualError(t, err, "authclient: 403 Forbidden")
	}
}

// An error says what was asked for, but no more: queries hold addresses.
func TestError_OfTheConnection(t *testing.T) {
	t.Parallel()
	c := newClient(t, nobody(t), authclient.WithAPIKey(shared.APIKey))
	_, err := c.ListUsers(t.Context(), &authclient.ListUsersParams{Email: new(authclient.Email("ada@example.com"))})
	require.ErrorContains(t, err, "GET /v1/users: ")
	require.NotContains(t, err.Error(), "ada")
}

func TestClient_Pages(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, nil)
	ada := newClient(t, n.URL).WithSession(*register(t, 100), nil)
	for range 7 {
		_, err := ada.DebitMyCredits(t.Context(), authclient.DebitRequest{Amount: 1})
		require.NoError(t, err)
	}
	history := ada.AllMyCreditTransactions(t.Context(), &authclient.ListMyCreditTransactionsParams{Limit: new(3)})
	for range 2 { // The sequence can be walked again.
		var sequences []int64
		for transaction, err := range history {
			require.NoError(t, err)
			sequences = append(sequences, transaction.Sequence)
		}
		require.Equal(t, []int64{8, 7, 6, 5, 4, 3, 2, 1}, sequences)
	}
	const path = "/v1/me/credits/transactions"
	require.Len(t, n.requests(path), 6)

	for range history { // No page more than is looked at.
		break
	}
	require.Len(t, n.requests(path), 7)

	for _, err := range ada.AllMyCreditTransactions(t.Context(), nil) {
		require.NoError(t, err)
	}
	require.Equal(t, "200", n.requests(path)[7].URL.Query().Get("limit"))

	errs := 0
	for _, err := range ada.AllMyCreditTransactions(t.Context(), &authclient.ListMyCreditTransactionsParams{Cursor: new("x")}) {
		require.True(t, authclient.IsCode(err, authclient.CodeInvalidCursor), "%v", err)
		errs++
	}
	require.Equal(t, 1, errs)
}

func TestClient_Raw(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, once(debits, unanswered))
	raw := newClient(t, n.URL).WithSession(*register(t, 100), nil).Raw()
	r, err := raw.DebitMyCreditsWithResponse(t.Context(), &authclient.DebitMyCreditsParams{IdempotencyKey: uuid.NewString()}, authclient.DebitRequest{Amount: 1})
	require.NoError(t, err)
	require.EqualValues(t, 99, r.JSON201.BalanceAfter)
	require.Equal(t, "true", r.HTTPResponse.Header.Get("Idempotent-Replayed"))
	r, err = raw.DebitMyCreditsWithResponse(t.Context(), &authclient.DebitMyCreditsParams{IdempotencyKey: uuid.NewString()}, authclient.DebitRequest{Amount: 100})
	require.NoError(t, err)
	require.Equal(t, http.StatusPaymentRequired, r.StatusCode())
}

// What is streamed is not cut off by the timeout of a try, but by its context.
func TestClient_Stream(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	c := newClient(t, "http://127.0.0.1", authclient.WithTimeout(500*time.Millisecond), authclient.WithTransport(transport(func(r *http.Request) (*http.Response, error) {
		reader, writer := io.Pipe()
		go func() {
			select {
			case <-more:
				_, _ = writer.Write([]byte("sequence,amount\n"))
				_ = writer.Close()
			case <-r.Context().Done():
				_ = writer.CloseWithError(context.Cause(r.Context()))
			}
		}()
		return &http.Response{StatusCode: http.StatusOK, Body: reader, Request: r}, nil
	})))
	body, err := c.Stream(t.Context(), "x")
	require.NoError(t, err)
	time.AfterFunc(700*time.Millisecond, func() { close(more) })
	text, err := io.ReadAll(body)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	require.Equal(t, "sequence,amount\n", string(text))

	more = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	body, err = c.Stream(ctx, "x")
	require.NoError(t, err)
	cancel()
	_, err = io.ReadAll(body)
	require.ErrorIs(t, err, context.Canceled)

	_, err = newClient(t, shared.BaseURL).Stream(t.Context(), "v1/me")
	require.True(t, authclient.IsCode(err, authclient.CodeAuthenticationRequired), "%v", err)
}

// Who uses the client gets nothing of the server, nor a framework.
func TestDependencies(t *testing.T) {
	t.Parallel()
	list, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{with .Module}}{{.Path}}{{end}}{{end}}", ".").Output()
	require.NoError(t, err)
	modules := slices.Compact(slices.Sorted(strings.FieldsSeq(string(list))))
	require.Equal(t, []string{
		"github.com/apapsch/go-jsonmerge/v2", // of runtime
		"github.com/authservice/authservice",
		"github.com/go-json-experiment/json",
		"github.com/golang-jwt/jwt/v5",
		"github.com/google/uuid",
		"github.com/oapi-codegen/nullable",
		"github.com/oapi-codegen/runtime",
	}, modules)
	list, err = exec.Command("go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	for name := range strings.FieldsSeq(string(list)) {
		if strings.HasPrefix(name, "github.com/authservice/") {
			require.Contains(t, []string{"github.com/authservice/authservice/api/authclient", "github.com/authservice/authservice/api/accesstoken"}, name)
		}
	}
}
