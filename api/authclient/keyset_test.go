package authclient_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/accesstoken"
	"github.com/authservice/authservice/api/authclient"
	"github.com/authservice/authservice/api/authclient/authtest"
)

// verifying is a verifier of an issuer's tokens, with a clock that the test
// sets, and the looks at the issuer's keys counted.
type verifying struct {
	*authclient.Verifier
	issuer *authtest.Issuer
	looks  atomic.Int64
	ahead  atomic.Int64 // of the real time
	down   atomic.Bool
	// held, if set, is closed to let looks pass.
	held chan struct{}
}

func newVerifying(t *testing.T, opts ...authclient.VerifierOption) *verifying {
	t.Helper()
	v := &verifying{issuer: authtest.NewIssuer()}
	t.Cleanup(v.issuer.Close)
	var err error
	v.Verifier, err = authclient.NewVerifier(v.issuer.URL, append([]authclient.VerifierOption{
		authclient.WithKeysFrom(v), authclient.WithClock(v.now),
	}, opts...)...)
	require.NoError(t, err)
	return v
}

func (v *verifying) now() time.Time          { return time.Now().Add(time.Duration(v.ahead.Load())) }
func (v *verifying) advance(d time.Duration) { v.ahead.Add(int64(d)) }

// token is good for a day.
func (v *verifying) token() string {
	return v.issuer.Token(authclient.Identity{ExpiresAt: v.now().Add(24 * time.Hour)})
}

func (v *verifying) RoundTrip(r *http.Request) (*http.Response, error) {
	v.looks.Add(1)
	if v.held != nil {
		select {
		case <-v.held:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if v.down.Load() {
		return nil, io.ErrUnexpectedEOF
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (v *verifying) require(t *testing.T, token string, want error) {
	t.Helper()
	_, err := v.Verify(t.Context(), token)
	if want == nil {
		require.NoError(t, err)
	} else {
		require.ErrorIs(t, err, want)
	}
}

func TestVerifier_NoRequestPerCall(t *testing.T) {
	t.Parallel()
	v := newVerifying(t)
	v.held = make(chan struct{})
	token := v.token()
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			_, err := v.Verify(t.Context(), token)
			require.NoError(t, err)
		})
	}
	close(v.held)
	wait.Wait()
	for range 1000 {
		v.require(t, token, nil)
	}
	require.EqualValues(t, 1, v.looks.Load())
}

func TestVerifier_Rotation(t *testing.T) {
	t.Parallel()
	v := newVerifying(t)
	old := v.token()
	v.require(t, old, nil)

	v.issuer.Rotate()
	v.advance(11 * time.Second)
	v.require(t, v.token(), nil)
	require.EqualValues(t, 2, v.looks.Load(), "a key that is not known yet is looked for at once")
	v.require(t, old, authclient.ErrInvalidToken) // It is published no longer.
}

// Whoever sends tokens with keys that nobody has cannot make the verifier ask
// the service each time.
func TestVerifier_UnknownKeys(t *testing.T) {
	t.Parallel()
	v, eve := newVerifying(t), authtest.NewIssuer()
	t.Cleanup(eve.Close)
	for range 100 {
		v.require(t, eve.Token(authclient.Identity{}), authclient.ErrInvalidToken)
	}
	v.advance(5 * time.Second)
	v.require(t, eve.Token(authclient.Identity{}), authclient.ErrInvalidToken)
	require.EqualValues(t, 1, v.looks.Load())
	v.advance(6 * time.Second)
	for range 100 {
		v.require(t, eve.Token(authclient.Identity{}), authclient.ErrInvalidToken)
	}
	require.EqualValues(t, 2, v.looks.Load())
}

func TestVerifier_KeysGetOld(t *testing.T) {
	t.Parallel()
	v := newVerifying(t)
	token := v.token()
	v.require(t, token, nil)

	v.advance(6 * time.Minute)
	v.held = make(chan struct{})
	v.require(t, token, nil) // does not wait
	v.issuer.Rotate()
	close(v.held)
	require.Eventually(t, func() bool {
		_, err := v.Verify(t.Context(), token)
		return errors.Is(err, authclient.ErrInvalidToken)
	}, 10*time.Second, time.Millisecond, "what was looked up meanwhile counts")

	token = v.token()
	v.require(t, token, nil)
	v.advance(11 * time.Minute)
	v.issuer.Rotate()
	v.require(t, token, authclient.ErrInvalidToken) // waits, and so learns that the key is void
}

func TestVerifier_ServiceDown(t *testing.T) {
	t.Parallel()
	v := newVerifying(t)
	token := v.token()
	v.down.Store(true)
	v.require(t, token, authclient.ErrNoKeys)
	v.require(t, token, authclient.ErrNoKeys)
	require.EqualValues(t, 1, v.looks.Load(), "a look that failed is not repeated at once")

	v.down.Store(false)
	v.advance(2 * time.Second)
	v.require(t, token, nil)

	v.down.Store(true)
	v.advance(59 * time.Minute)
	v.require(t, token, nil)
	v.issuer.Rotate()
	v.require(t, v.token(), authclient.ErrNoKeys) // may be good: not refused as if it were not
	v.advance(2 * time.Minute)
	v.require(t, token, authclient.ErrNoKeys)
}

// Who hangs up takes nobody along.
func TestVerifier_HangUp(t *testing.T) {
	t.Parallel()
	v := newVerifying(t)
	v.held = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := v.Verify(ctx, v.token())
	require.ErrorIs(t, err, context.Canceled)
	close(v.held)
	v.require(t, v.token(), nil)
	require.EqualValues(t, 1, v.looks.Load())
}

func TestVerifier_SaysWho(t *testing.T) {
	t.Parallel()
	v := newVerifying(t)
	token := v.issuer.Token(authclient.Identity{Role: authclient.UserRoleAdmin, Scopes: []authclient.Scope{"users:read", "audit:read"}})
	i, err := v.Verify(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, authclient.UserRoleAdmin, i.Role)
	require.True(t, i.Has("audit:read"))
	require.False(t, i.Has("users:write"))
	require.WithinDuration(t, time.Now().Add(15*time.Minute), i.ExpiresAt, time.Minute)
}

func TestVerifier_Refuses(t *testing.T) {
	t.Parallel()
	v := newVerifying(t, authclient.WithAudience("reports"))
	good := func(change func(*accesstoken.Claims)) string {
		c := accesstoken.Claims{
			Issuer: v.issuer.URL, Audience: accesstoken.Audiences{"reports"}, Subject: "019ab5c1-2d4f-7c3a-8b1e-5f6a7b8c9d0e",
			SessionID: "019ab5c1-2d51-7e08-9c6b-7a8b9c0d1e2f", ID: "x", Role: "user",
			IssuedAt: v.now().Unix(), NotBefore: v.now().Unix(), ExpiresAt: v.now().Unix() + 60,
		}
		change(&c)
		return v.issuer.Sign(c)
	}
	v.require(t, good(func(*accesstoken.Claims) {}), nil)
	for name, token := range map[string]string{
		"Empty":         "",
		"OtherAudience": v.token(),
		"OtherIssuer":   good(func(c *accesstoken.Claims) { c.Issuer += "/" }),
		"Expired":       good(func(c *accesstoken.Claims) { c.ExpiresAt = v.now().Unix() }),
		"NotYet":        good(func(c *accesstoken.Claims) { c.NotBefore += 60 }),
		"NoSession":     good(func(c *accesstoken.Claims) { c.SessionID = "" }),
	} {
		_, err := v.Verify(t.Context(), token)
		require.ErrorIs(t, err, authclient.ErrInvalidToken, name)
		require.NotErrorIs(t, err, authclient.ErrNoKeys, name)
	}
}
