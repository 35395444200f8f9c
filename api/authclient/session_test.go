package authclient_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

const refresh = "/v1/auth/refresh"

// expired is a session as it is found after a while.
func expired(t *testing.T) authclient.Session {
	t.Helper()
	session := *register(t, 0)
	session.ExpiresIn = 0
	return session
}

// together calls f in many goroutines at once.
func together(f func()) {
	var wait sync.WaitGroup
	for range 30 {
		wait.Go(f)
	}
	wait.Wait()
}

func TestSession_ExchangedOnceForAll(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, nil)
	var kept []authclient.Session
	ada := newClient(t, n.URL).WithSession(expired(t), func(s authclient.Session) { kept = append(kept, s) })
	together(func() {
		_, err := ada.GetMe(t.Context())
		require.NoError(t, err)
	})
	require.Len(t, n.requests(refresh), 1)
	require.Len(t, kept, 1)
	now, ok := ada.Session()
	require.True(t, ok)
	require.Equal(t, kept[0], now)
	for _, r := range n.requests("/v1/me") {
		require.Equal(t, "Bearer "+now.AccessToken, r.Header.Get("Authorization"))
	}
}

// An exchange whose answer was lost is repeated, and the session goes on.
func TestSession_LostAnswer(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]fault{"Lost": lost, "Unanswered": unanswered, "Cut": cut, "Gateway": gateway, "Busy": busy} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, once(refresh, kind))
			ada := newClient(t, n.URL).WithSession(expired(t), nil)
			together(func() {
				_, err := ada.GetMe(t.Context())
				require.NoError(t, err)
			})
			require.Len(t, n.requests(refresh), 2)
		})
	}
}

// A token that the service takes no longer, whatever the clock says, is replaced.
func TestSession_RefusedToken(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, nil)
	session := *register(t, 0)
	session.AccessToken += "x"
	ada := newClient(t, n.URL).WithSession(session, nil)
	together(func() {
		_, err := ada.GetMe(t.Context())
		require.NoError(t, err)
	})
	require.Len(t, n.requests(refresh), 1)
}

// A session from a store is as old as its token says.
func TestSession_Stored(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, nil)
	session := *register(t, 0)
	session.ExpiresIn = 1 << 20 // A lie; the token has 15 minutes.
	ada := newClient(t, n.URL).WithSession(session, nil)
	_, err := ada.GetMe(t.Context())
	require.NoError(t, err)
	require.Empty(t, n.requests(refresh))
}

// Who hangs up while the session is exchanged takes nobody along: the exchange goes on.
func TestSession_HangUp(t *testing.T) {
	t.Parallel()
	ctx, hangUp := context.WithCancel(t.Context())
	reached := make(chan struct{})
	n := newNetwork(t, func(r *http.Request, _ int) fault {
		if r.URL.Path == refresh {
			hangUp()
			<-reached
		}
		return none
	})
	pass := sync.OnceFunc(func() { close(reached) })
	t.Cleanup(pass)
	ada := newClient(t, n.URL).WithSession(expired(t), nil)
	_, err := ada.GetMe(ctx)
	require.ErrorIs(t, err, context.Canceled)
	pass()
	_, err = ada.GetMe(t.Context())
	require.NoError(t, err)
	require.Len(t, n.requests(refresh), 1)
}

// Once the session has ended the client says so, and asks no more.
func TestSession_Ended(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, nil)
	c := newClient(t, n.URL)
	session := *register(t, 0)
	ada := c.WithSession(session, nil)
	require.NoError(t, newClient(t, shared.BaseURL).WithAccessToken(session.AccessToken).LogOut(t.Context()))
	together(func() {
		_, err := ada.GetMe(t.Context())
		require.True(t, authclient.IsCode(err, authclient.CodeInvalidRefreshToken), "%v", err)
	})
	require.Len(t, n.requests(refresh), 1)
	asked := len(n.requests("/v1/me"))
	_, err := ada.GetMe(t.Context())
	require.True(t, authclient.IsCode(err, authclient.CodeInvalidRefreshToken), "%v", err)
	require.LessOrEqual(t, len(n.requests("/v1/me")), asked+1)
	require.Len(t, n.requests(refresh), 1)

	// What needs no session still works.
	_, err = ada.LogIn(t.Context(), authclient.LoginRequest{Email: session.User.Email, Password: password})
	require.NoError(t, err)
}

// As long as the token is good nobody waits for the next one, which may take
// its time while the service is away.
func TestSession_AheadOfTime(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{})
	n := newNetwork(t, func(r *http.Request, _ int) fault {
		if r.URL.Path == refresh {
			<-reached
		}
		return none
	})
	pass := sync.OnceFunc(func() { close(reached) })
	t.Cleanup(pass)
	session := *register(t, 0)
	ada := newClient(t, n.URL).WithSession(session, nil)
	var ahead atomic.Int64
	ada.SetClock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	_, err := ada.GetMe(t.Context())
	require.NoError(t, err)
	require.Empty(t, n.requests(refresh))

	ahead.Store(int64(15*time.Minute - 20*time.Second))
	_, err = ada.GetMe(t.Context())
	require.NoError(t, err)
	pass()
	require.Eventually(t, func() bool {
		now, _ := ada.Session()
		return now.AccessToken != session.AccessToken
	}, 20*time.Second, time.Millisecond)
	require.Len(t, n.requests(refresh), 1)
}

// Clients made from one another do not share whom they call for.
func TestClient_CallsFor(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared.BaseURL, authclient.WithAPIKey(shared.APIKey))
	session := register(t, 0)
	ada := c.WithSession(*session, nil)
	_, err := ada.ListUsers(t.Context(), nil)
	require.True(t, authclient.IsCode(err, authclient.CodeInsufficientScope), "%v", err)
	_, err = c.ListUsers(t.Context(), nil)
	require.NoError(t, err)
	_, err = c.GetMe(t.Context())
	require.True(t, authclient.IsCode(err, authclient.CodeAuthenticationRequired), "%v", err)
	me, err := c.WithAccessToken(session.AccessToken).GetMe(t.Context())
	require.NoError(t, err)
	require.Equal(t, session.User.ID, me.ID)
	_, ok := c.Session()
	require.False(t, ok)
}
