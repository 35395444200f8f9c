package authclient_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

const debits = "/v1/me/credits/debits"

// once meddles with the first request to a path.
func once(path string, kind fault) func(*http.Request, int) fault {
	return func(r *http.Request, n int) fault {
		if r.URL.Path == path && n == 1 {
			return kind
		}
		return none
	}
}

// Whatever becomes of the first try, the call succeeds and is applied once.
func TestClient_SpendsOnce(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]fault{"Lost": lost, "Unanswered": unanswered, "Cut": cut, "Gateway": gateway, "Busy": busy} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, once(debits, kind))
			ada := newClient(t, n.URL).WithSession(*register(t, 100), nil)
			var header http.Header
			spent, err := ada.DebitMyCredits(t.Context(), authclient.DebitRequest{Amount: 30}, authclient.ResponseHeader(&header))
			require.NoError(t, err)
			require.EqualValues(t, 70, spent.BalanceAfter)
			balance, err := ada.GetMyCredits(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 70, balance.Balance)

			tries := n.requests(debits)
			require.Len(t, tries, 2)
			key := tries[0].Header.Get("Idempotency-Key")
			require.NotEmpty(t, key)
			require.Equal(t, key, tries[1].Header.Get("Idempotency-Key"), "one key a call")
			applied := kind == unanswered || kind == cut || kind == gateway
			require.Equal(t, applied, header.Get("Idempotent-Replayed") == "true")

			_, err = ada.DebitMyCredits(t.Context(), authclient.DebitRequest{Amount: 30})
			require.NoError(t, err)
			require.NotEqual(t, key, n.requests(debits)[2].Header.Get("Idempotency-Key"), "another call, another key")
		})
	}
}

func TestClient_OwnIdempotencyKey(t *testing.T) {
	t.Parallel()
	ada := newClient(t, shared.BaseURL).WithSession(*register(t, 100), nil)
	for range 3 {
		spent, err := ada.DebitMyCredits(t.Context(), authclient.DebitRequest{Amount: 30}, authclient.WithIdempotencyKey("order-1"))
		require.NoError(t, err)
		require.EqualValues(t, 70, spent.BalanceAfter)
	}
	_, err := ada.DebitMyCredits(t.Context(), authclient.DebitRequest{Amount: 31}, authclient.WithIdempotencyKey("order-1"))
	require.True(t, authclient.IsCode(err, authclient.CodeIdempotencyKeyReused), "%v", err)
}

// A change whose answer was lost may have been made: only who asked for it knows
// whether to make it again.
func TestClient_DoesNotRepeatWhatMayHaveBeenDone(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]fault{"Lost": lost, "Unanswered": unanswered, "Gateway": gateway} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, once("/v1/me", kind))
			ada := newClient(t, n.URL).WithSession(*register(t, 0), nil)
			_, err := ada.UpdateMe(t.Context(), authclient.UpdateMeRequest{Name: new("Ada")})
			require.Error(t, err)
			require.Len(t, n.requests("/v1/me"), 1)
		})
	}
	t.Run("ButReads", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, once("/v1/me", unanswered))
		ada := newClient(t, n.URL).WithSession(*register(t, 0), nil)
		_, err := ada.GetMe(t.Context())
		require.NoError(t, err)
		require.Len(t, n.requests("/v1/me"), 2)
	})
	t.Run("AndWhatWasRefusedForNow", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, once("/v1/me", busy))
		ada := newClient(t, n.URL).WithSession(*register(t, 0), nil)
		started := time.Now()
		_, err := ada.UpdateMe(t.Context(), authclient.UpdateMeRequest{Name: new("Ada")})
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(started), time.Second, "Retry-After is honoured")
	})
	t.Run("ButNotWhatMayBeDoneTwice", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, once("/v1/me/email", busy))
		ada := newClient(t, n.URL).WithSession(*register(t, 0), nil)
		err := ada.ChangeMyEmail(t.Context(), authclient.ChangeEmailRequest{NewEmail: "ada@example.com", Password: password})
		require.ErrorContains(t, err, "503")
		require.Len(t, n.requests("/v1/me/email"), 1)
	})
	t.Run("AndWhatReachedNobody", func(t *testing.T) {
		t.Parallel()
		var dials atomic.Int64
		c := newClient(t, shared.BaseURL, authclient.WithTransport(&http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if dials.Add(1) <= 2 {
					return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
				}
				return (&net.Dialer{}).DialContext(ctx, network, address)
			},
		}))
		_, err := c.WithSession(*register(t, 0), nil).UpdateMe(t.Context(), authclient.UpdateMeRequest{Name: new("Ada")})
		require.NoError(t, err)
	})
}

func TestClient_GivesUp(t *testing.T) {
	t.Parallel()
	always := func(kind fault) func(*http.Request, int) fault { return func(*http.Request, int) fault { return kind } }

	t.Run("AfterSixAttempts", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, always(lost))
		_, err := newClient(t, n.URL).GetJWKS(t.Context())
		require.Error(t, err)
		require.Len(t, n.requests("/.well-known/jwks.json"), 6)
	})
	t.Run("AtOnceIfToldSo", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, always(lost))
		_, err := newClient(t, n.URL, authclient.WithRetries(authclient.Retries{Attempts: 1})).GetJWKS(t.Context())
		require.Error(t, err)
		require.Len(t, n.requests("/.well-known/jwks.json"), 1)
	})
	t.Run("WhenTheServiceAsksForMoreTimeThanThereIs", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, always(busy))
		_, err := newClient(t, n.URL, authclient.WithRetries(authclient.Retries{MaxWait: time.Millisecond})).GetJWKS(t.Context())
		refusal, ok := errors.AsType[*authclient.Error](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, http.StatusServiceUnavailable, refusal.Status)
		require.Equal(t, time.Second, refusal.RetryAfter)
		require.Len(t, n.requests("/.well-known/jwks.json"), 1)
	})
	t.Run("RatherThanWaitForTheEndOfItsContext", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, always(busy))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := newClient(t, n.URL, authclient.WithRetries(authclient.Retries{MinWait: time.Hour, MaxWait: time.Hour})).GetJWKS(ctx)
		require.NotErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "503")
	})
	t.Run("WhenItsContextEnds", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		n := newNetwork(t, func(*http.Request, int) fault { cancel(); return unanswered })
		_, err := newClient(t, n.URL).GetJWKS(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, n.requests("/.well-known/jwks.json"), 1)
	})
	t.Run("WhereNobodyListens", func(t *testing.T) {
		t.Parallel()
		_, err := newClient(t, nobody(t)).LogIn(t.Context(), authclient.LoginRequest{Email: "a@example.com", Password: password})
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
	t.Run("WhereNobodyAnswers", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0") // Connections are made, and nothing else.
		require.NoError(t, err)
		defer l.Close()
		c := newClient(t, "http://"+l.Addr().String(), authclient.WithTimeout(20*time.Millisecond), authclient.WithRetries(authclient.Retries{Attempts: 2, MinWait: 1}))
		_, err = c.GetJWKS(t.Context())
		require.ErrorContains(t, err, "no answer in time")
	})
}

// Credentials do not follow a redirect.
func TestClient_Redirects(t *testing.T) {
	t.Parallel()
	elsewhere := newNetwork(t, nil)
	c := newClient(t, shared.BaseURL, authclient.WithAPIKey(shared.APIKey), authclient.WithTransport(redirecting(elsewhere.URL)))
	_, err := c.ListUsers(t.Context(), nil)
	require.ErrorContains(t, err, "302")
	require.Empty(t, elsewhere.requests("/v1/users"))
}

type redirecting string

func (to redirecting) RoundTrip(r *http.Request) (*http.Response, error) {
	header := http.Header{"Location": {string(to) + r.URL.Path}}
	return &http.Response{StatusCode: http.StatusFound, Header: header, Body: http.NoBody, Request: r}, nil
}
