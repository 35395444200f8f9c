//go:build faults

package ordeal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/authservice/authservice/api/authclient"
)

// score is what all clients did.
type score struct {
	acknowledged, refusals, reads   atomic.Int64 // operations that are known
	retries, lostAnswers, refusals5 atomic.Int64 // requests
	replayed, anew                  atomic.Int64 // what was found, asked for again: done already, or not
	within                          atomic.Int64 // what the service did not know the outcome of, and found out by itself
	newest                          atomic.Int64 // when the latest request was sent that was answered, Unix ns

	mu         sync.Mutex
	violations []string
}

// violate notes what must not be.
func (s *score) violate(format string, arguments ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violations = append(s.violations, fmt.Sprintf(format, arguments...))
}

// report tells what was noted, at the end of a test that failed.
func (s *score) report(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.Failed() {
		t.Log(strings.Join(s.violations[:min(len(s.violations), 50)], "\n"))
	}
}

// exchange is a request and its answer, to be repeated in the end.
type exchange struct {
	*operation
	status int
	answer []byte
}

// client sends what its player draws, one after another.
type client struct {
	*player
	score   *score
	base    string
	apiKey  string
	http    *http.Client
	records []record
	kept    []exchange
}

func newClient(p *player, s *score, base, apiKey string) *client {
	return &client{player: p, score: s, base: base, apiKey: apiKey, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}}}
}

// play goes on until enough ends; what was begun is brought to its end, until
// patience ends.
func (c *client) play(enough, patience context.Context) {
	for enough.Err() == nil && patience.Err() == nil {
		for o := c.next(); o != nil; {
			o = c.do(patience, o)
		}
	}
}

// sent is what came of a request.
type sent struct {
	status     int
	body       []byte
	replayed   bool
	retryAfter string
}

func (c *client) send(ctx context.Context, o *operation, timeout time.Duration) (sent, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var body io.Reader
	if o.body != "" {
		body = struct{ io.Reader }{bytes.NewReader([]byte(o.body))} // hidden from the transport, which would repeat the request by itself
	}
	r, err := http.NewRequestWithContext(ctx, o.method, c.base+o.path, body)
	if err != nil {
		return sent{}, err
	}
	r.ContentLength = int64(len(o.body))
	r.Header = http.Header{"X-Api-Key": {c.apiKey}}
	if o.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if o.key != "" {
		r.Header.Set("Idempotency-Key", o.key)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return sent{}, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	h := response.Header
	return sent{response.StatusCode, answer, h.Get("Idempotent-Replayed") == "true", h.Get("Retry-After")}, err
}

// known sends an operation until its outcome is known, or once.
func (c *client) known(ctx context.Context, o *operation) (a sent, is bool) {
	wait, timeout := 20*time.Millisecond, o.timeout
	for try := 1; ; try++ {
		began := time.Now()
		a, err := c.send(ctx, o, timeout)
		switch {
		case err != nil:
			c.score.lostAnswers.Add(1)
		case a.status >= http.StatusInternalServerError:
			c.score.refusals5.Add(1)
			var p authclient.Problem
			if json.Unmarshal(a.body, &p) != nil || a.status != http.StatusServiceUnavailable || p.Code != "unavailable" || a.retryAfter == "" {
				c.score.violate("%s %s was answered with %d: %s", o.kind, o.key, a.status, a.body)
			}
		default:
			if try > 1 && o.moves() {
				if a.replayed {
					c.score.replayed.Add(1)
				} else {
					c.score.anew.Add(1)
				}
			}
			if a.replayed && try == 1 { // the service itself has asked the database again
				c.score.within.Add(1)
			}
			for at := began.UnixNano(); ; {
				newest := c.score.newest.Load()
				if newest >= at || c.score.newest.CompareAndSwap(newest, at) {
					return a, true
				}
			}
		}
		if o.once {
			return a, false
		}
		c.score.retries.Add(1)
		select {
		case <-ctx.Done():
			c.score.violate("%s %s: its outcome did not become known: %d %v", o.kind, o.key, a.status, err)
			return a, false
		case <-time.After(wait/2 + rand.N(wait)):
		}
		wait = min(2*wait, time.Second)
		timeout = min(2*timeout, 15*time.Second)
	}
}

// do brings an operation to its end, and returns the one that follows from it.
func (c *client) do(ctx context.Context, o *operation) *operation {
	a, is := c.known(ctx, o)
	r := record{key: o.key, kind: o.kind, user: o.user, to: o.to, amount: o.amount, held: o.held, hold: o.hold}
	switch {
	case !is:
		r.outcome = unknown
	case o.want == nil && !c.possible(o, a) || o.want != nil && a.status/100 == 2 && o.want.status/100 != 2:
		c.score.violate("%s %s was answered with %d: %s", o.kind, o.key, a.status, a.body)
		fallthrough
	case a.status/100 != 2:
		r.outcome = refused
	default:
		r.outcome = applied
		r.made, r.hold = c.told(o, a.body)
	}
	if is {
		if wrong := o.want.judge(a.status, a.body); wrong != "" {
			c.score.violate("%s %s: %s", o.kind, o.key, wrong)
		}
	}
	if !o.moves() {
		c.score.reads.Add(1)
		return nil
	}
	c.records = append(c.records, r)
	if !is {
		return nil
	}
	c.score.acknowledged.Add(1)
	if r.outcome == refused {
		c.score.refusals.Add(1)
	}
	// An expiry that lies in the past is not a refusal that is kept.
	if len(c.records)%keptEvery == 0 && (o.want != nil || a.status != http.StatusUnprocessableEntity) {
		c.kept = append(c.kept, exchange{o, a.status, a.body})
	}
	if r.outcome != applied {
		return nil
	}
	if o.applied != nil {
		o.applied(a.body)
	}
	if o.then != nil {
		return o.then(a.body)
	}
	return nil
}

// keptEvery is one in how many operations is repeated in the end.
const keptEvery = 50

// possible says whether an answer can be true where others have a say in it.
func (c *client) possible(o *operation, a sent) bool {
	var p authclient.Problem
	_ = json.Unmarshal(a.body, &p)
	switch {
	case a.status == http.StatusCreated || a.status == http.StatusOK:
		return true
	case p.Code == "insufficient_credits":
		return a.status == http.StatusPaymentRequired
	case p.Code == "hold_not_active": // time let it go
		return a.status == http.StatusConflict && (o.kind == kindCapture || o.kind == kindVoid)
	case p.Code == "validation_failed": // it would have expired by now
		return a.status == http.StatusUnprocessableEntity && o.kind == kindGrant
	}
	return false
}

// told reads what an answer says was made.
func (c *client) told(o *operation, body []byte) (made []line, hold uuid.UUID) {
	of := func(t authclient.Transaction) line { return line{t.ID, t.UserID, t.Sequence, t.Amount, t.BalanceAfter} }
	var err error
	switch o.kind {
	case kindGrant, kindDebit, kindReversal:
		var t authclient.Transaction
		err = json.Unmarshal(body, &t)
		made = []line{of(t)}
	case kindTransfer:
		var t authclient.Transfer
		err = json.Unmarshal(body, &t)
		made = []line{of(t.Debit), of(t.Credit)}
	case kindHold, kindCapture, kindIncrement, kindVoid:
		hold = idOf(body)
	case kindRead:
	}
	if err != nil {
		c.score.violate("%s %s was answered with %s", o.kind, o.key, body)
	}
	return made, hold
}

// repeat sends what was kept once more, and counts the answers that are not the
// same, byte for byte.
func (c *client) repeat(ctx context.Context) (all, changed int) {
	for _, e := range c.kept {
		a, err := c.send(ctx, e.operation, 30*time.Second)
		all++
		if err != nil || !e.same(a) {
			changed++
			c.score.violate("%s %s, sent again: %d %q (replayed: %t, %v) instead of %d %q", e.kind, e.key, a.status, a.body, a.replayed, err, e.status, e.answer)
		}
	}
	return all, changed
}

func (e *exchange) same(a sent) bool {
	return a.status == e.status && a.replayed && bytes.Equal(a.body, e.answer)
}
