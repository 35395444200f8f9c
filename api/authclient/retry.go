package authclient

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Retries say how often and when a request is tried again. Fields that are 0
// have their defaults.
//
// Tried again is what the service refused for the moment (429, 503), after the
// time that it asks for. A request whose answer was lost, or that got an answer
// of a proxy (502, 504), is tried again only if that does no harm: if it
// reads, or has an Idempotency-Key. Rarely a 503 stands for something that was
// done all the same; so what would then be done twice, such as the rotation of
// an API key, is not tried again either. A request that reached nobody always
// is. Waits grow from MinWait, doubling, and are drawn at random between half
// and all of that, so that clients do not return in step.
type Retries struct {
	// Attempts is how often a request is sent at the most; 6 by default, 1 for
	// no retries.
	Attempts int
	// MinWait is the longest wait before the second attempt; 200 ms by default.
	MinWait time.Duration
	// MaxWait is the longest wait; 10 s by default. Where the service asks for
	// more, its refusal is returned at once.
	MaxWait time.Duration
}

func (r Retries) withDefaults() Retries {
	if r.Attempts == 0 {
		r.Attempts = 6
	}
	if r.MinWait == 0 {
		r.MinWait = 200 * time.Millisecond
	}
	if r.MaxWait == 0 {
		r.MaxWait = 10 * time.Second
	}
	return r
}

// wait returns how long to wait before the next attempt, after so many, and
// whether there is one. r is nil where err is not.
func (r Retries) wait(attempts int, harm harm, response *http.Response, err error) (time.Duration, bool) {
	r = r.withDefaults()
	if attempts >= r.Attempts || !again(harm, response, err) {
		return 0, false
	}
	wait := min(r.MaxWait, r.MinWait<<min(attempts-1, 30))
	if wait <= 0 { // Too large for a Duration.
		wait = r.MaxWait
	}
	wait = wait/2 + rand.N(wait/2+1) //nolint:gosec // spreads load, keeps no secret
	if response != nil {
		if asked := retryAfter(response); asked > r.MaxWait {
			return 0, false
		} else if asked > 0 {
			wait += asked
		}
	}
	return wait, true
}

// harm is what comes of sending a request again that was carried out already.
type harm uint8

const (
	noHarm   harm = iota // The answer is the same.
	confuses             // The answer is another, such as that the account exists.
	harms                // It is done twice.
)

// again reports whether a request may be sent again.
func again(harm harm, response *http.Response, err error) bool {
	if err != nil {
		return harm == noHarm || unsent(err)
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusServiceUnavailable:
		return harm != harms
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return harm == noHarm
	}
	return false
}

// unsent reports whether an error came before anything was sent.
func unsent(err error) bool {
	operation, ok := errors.AsType[*net.OpError](err)
	return ok && operation.Op == "dial"
}

// retryAfter is how long a response asks to wait (RFC 9110, section 10.2.3).
func retryAfter(r *http.Response) time.Duration {
	text := r.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return max(0, time.Duration(min(seconds, 1<<30))*time.Second)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// sleep waits, but not for a moment that comes after the context's end.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
