package authclient

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/authservice/authservice/api/accesstoken"
)

const (
	// refreshAhead is how long before its end an access token is exchanged, or
	// after nine tenths of its life if that is later.
	refreshAhead = 30 * time.Second
	// refreshWithin is how long an exchange is tried again. An exchange whose
	// answer was lost may be repeated for 30 seconds, unless the deployment says
	// otherwise; after that a repetition looks like the use of a stolen token.
	refreshWithin = 25 * time.Second
)

// refreshRetries are those of an exchange: bounded by time, not by number.
var refreshRetries = Retries{Attempts: 1 << 20, MinWait: 100 * time.Millisecond, MaxWait: 2 * time.Second}

// WithSession returns a client that calls in the name of the person whose
// session this is: from [Client.LogIn], [Client.RegisterUser], or from where the
// last one was stored. It exchanges the refresh token before the access token
// ends, once for all goroutines, and again when the service says that the access
// token is not valid.
//
// Each exchange makes the session before it void. Whoever keeps sessions, to go
// on with them after a restart, is told of the new one by changed, which may be
// nil; it is called before the new session is used, by one goroutine at a time.
//
// When the session has ended, calls return an [Error] with
// [CodeInvalidRefreshToken] or [CodeRefreshTokenReused]; the person has to log
// in again. Make one client for a session and share it: two that go on from the
// same session part ways at the first exchange.
func (c *Client) WithSession(s Session, changed func(Session)) *Client {
	anonymous := c.as(nil)
	anonymous.retries = refreshRetries
	k := &keeper{client: anonymous, changed: changed, now: time.Now}
	k.keep(s)
	// A stored session is older than its expires_in says.
	if expires, ok := expiryOf(s.AccessToken); ok && expires.Before(k.expires) {
		k.setExpiry(expires, time.Duration(s.ExpiresIn)*time.Second)
	}
	return c.as(k)
}

// Session returns the session of a client made with [Client.WithSession] as it
// is now, and whether there is one.
func (c *Client) Session() (Session, bool) {
	k, ok := c.caller.(*keeper)
	if !ok {
		return Session{}, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.session, true
}

// keeper keeps a session alive.
type keeper struct {
	client  *Client
	changed func(Session)
	now     func() time.Time

	mu           sync.Mutex
	session      Session
	due, expires time.Time // of the access token
	ended        error     // why there will be no other session
	exchange     *exchange // under way, or nil
}

// exchange is one exchange of the refresh token, for whoever waits for it.
type exchange struct {
	done chan struct{}
	err  error // set before done is closed
}

func (k *keeper) keep(s Session) {
	k.session = s
	life := time.Duration(s.ExpiresIn) * time.Second
	k.setExpiry(k.now().Add(life), life)
}

func (k *keeper) setExpiry(expires time.Time, life time.Duration) {
	k.expires, k.due = expires, expires.Add(-min(refreshAhead, life/10))
}

// authorize implements credentials.
func (k *keeper) authorize(ctx context.Context, h http.Header) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended != nil {
		return "", k.ended
	}
	if now := k.now(); !now.Before(k.due) {
		e := k.begin(ctx)
		// As long as the token is good nobody waits for the next one.
		if !now.Before(k.expires) {
			k.mu.Unlock()
			err := e.wait(ctx)
			k.mu.Lock()
			if err != nil {
				return "", err
			}
		}
	}
	h.Set("Authorization", "Bearer "+k.session.AccessToken)
	return k.session.AccessToken, nil
}

// renew implements credentials.
func (k *keeper) renew(ctx context.Context, used string) (bool, error) {
	k.mu.Lock()
	if k.session.AccessToken != used { // Somebody was faster.
		defer k.mu.Unlock()
		return true, nil
	}
	e := k.begin(ctx)
	k.mu.Unlock()
	if err := e.wait(ctx); err != nil {
		return false, err
	}
	return true, nil
}

// begin starts an exchange unless one is under way. The caller holds mu.
func (k *keeper) begin(ctx context.Context) *exchange {
	if k.exchange != nil {
		return k.exchange
	}
	e := &exchange{done: make(chan struct{})}
	if k.ended != nil {
		e.err = k.ended
		close(e.done)
		return e
	}
	k.exchange = e
	// Others wait for it too, and an answer that nobody takes would be a session
	// lost: it goes on when this caller hangs up.
	go k.run(context.WithoutCancel(ctx), e, k.session.RefreshToken)
	return e
}

func (k *keeper) run(ctx context.Context, e *exchange, token string) {
	ctx, cancel := context.WithTimeout(ctx, refreshWithin)
	defer cancel()
	req, err := NewRefreshSessionRequest(k.client.server, RefreshRequest{RefreshToken: token})
	next, err := fetch[Session](ctx, k.client, public|repeatable, req, err, nil)
	if err == nil && k.changed != nil {
		k.changed(*next)
	}

	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		k.keep(*next)
	} else if over(err) {
		k.ended = err
	}
	e.err = err
	k.exchange = nil
	close(e.done)
}

// over reports whether an exchange was refused for good.
func over(err error) bool {
	refusal, ok := errors.AsType[*Error](err)
	return ok && refusal.Status >= 400 && refusal.Status < 500 && refusal.Status != http.StatusTooManyRequests
}

// wait waits for the exchange, or until the caller hangs up.
func (e *exchange) wait(ctx context.Context) error {
	select {
	case <-e.done:
		return e.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// expiryOf reads when a token ends, without looking whether it is a good one.
func expiryOf(token string) (time.Time, bool) {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := accesstoken.Encoding.DecodeString(payload)
	if err != nil {
		return time.Time{}, false
	}
	var c accesstoken.Claims
	if json.Unmarshal(text, &c) != nil || c.ExpiresAt <= 0 {
		return time.Time{}, false
	}
	return time.Unix(c.ExpiresAt, 0), true
}
