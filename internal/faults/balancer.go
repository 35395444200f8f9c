package faults

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// Balancer is a load balancer as people run them: it asks replicas whether they
// are ready, sends requests to those that are over connections that it keeps, and
// passes a request on to another replica only where nothing of it was sent.
type Balancer struct {
	URL string

	ctx     context.Context //nolint:containedctx // of the test
	looking sync.WaitGroup

	mu       sync.Mutex
	replicas []*replica
	turn     int
}

type replica struct {
	url       string
	transport *http.Transport
	ready     bool
}

// looksAgain is how often a replica is asked.
const looksAgain = 50 * time.Millisecond

// NewBalancer starts one, until the test ends.
func NewBalancer(t testing.TB) *Balancer {
	t.Helper()
	b := &Balancer{}
	server := httptest.NewServer(b)
	b.URL = server.URL
	var cancel context.CancelFunc
	b.ctx, cancel = context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		b.looking.Wait()
		server.Close()
		for _, r := range b.replicas {
			r.transport.CloseIdleConnections()
		}
	})
	return b
}

// Add is told of a replica; it is sent requests once it is ready.
func (b *Balancer) Add(url string) {
	r := &replica{url: url, transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	b.mu.Lock()
	b.replicas = append(b.replicas, r)
	b.mu.Unlock()
	b.looking.Go(func() { b.look(r) })
}

// Ready is how many replicas are.
func (b *Balancer) Ready() int { return len(b.inTurn()) }

// look asks a replica again and again whether it is ready, until it is gone.
func (b *Balancer) look(r *replica) {
	tick := time.NewTicker(looksAgain)
	defer tick.Stop()
	for b.ctx.Err() == nil {
		limited, cancel := context.WithTimeout(b.ctx, 5*time.Second)
		ready, err := r.answers(limited)
		cancel()
		b.mu.Lock()
		r.ready = ready
		gone := dialFailed(err)
		if gone {
			b.replicas = slices.DeleteFunc(b.replicas, func(other *replica) bool { return other == r })
		}
		b.mu.Unlock()
		if gone {
			r.transport.CloseIdleConnections()
			return
		}
		<-tick.C
	}
}

func (p *replica) answers(ctx context.Context) (ready bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/health/ready", nil)
	if err != nil {
		return false, err
	}
	response, err := p.transport.RoundTrip(request)
	if err != nil {
		return false, err
	}
	return response.StatusCode == http.StatusOK, response.Body.Close()
}

// inTurn lists the replicas that are ready, beginning with another one each time.
func (b *Balancer) inTurn() (ready []*replica) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.replicas {
		if r.ready {
			ready = append(ready, r)
		}
	}
	if b.turn++; len(ready) > 0 {
		at := b.turn % len(ready)
		ready = slices.Concat(ready[at:], ready[:at])
	}
	return ready
}

// all lists the replicas, in the turn that inTurn has begun.
func (b *Balancer) all() []*replica {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.replicas) == 0 {
		return nil
	}
	at := b.turn % len(b.replicas)
	return slices.Concat(b.replicas[at:], b.replicas[:at])
}

// ServeHTTP implements http.Handler.
func (b *Balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	err = errors.New("no replica is ready")
	for _, replica := range b.inTurn() {
		// Of a request that has left, nobody knows whether it was done.
		if err = replica.pass(w, r, body); !dialFailed(err) {
			break
		}
	}
	if err == nil {
		return
	}
	http.Error(w, err.Error(), http.StatusBadGateway)
}

// pass passes a request on, and the answer back. It fails before anything is written.
func (p *replica) pass(w http.ResponseWriter, r *http.Request, body []byte) error {
	// Hidden from the transport, which would repeat the request by itself.
	once := struct{ io.Reader }{bytes.NewReader(body)}
	request, err := http.NewRequestWithContext(r.Context(), r.Method, p.url+r.URL.RequestURI(), once) //nolint:gosec // that is what it is for
	if err != nil {
		return err
	}
	request.Header, request.ContentLength = r.Header, int64(len(body))
	response, err := p.transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	for name, values := range response.Header {
		w.Header()[name] = values
	}
	w.Header().Del("Connection")
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body)
	return nil
}

func dialFailed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
