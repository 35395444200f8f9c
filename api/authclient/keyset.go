package authclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/authservice/authservice/api/accesstoken"
)

const (
	// keysFresh is how long keys are used without looking again: the max-age
	// that the service gives them.
	keysFresh = 5 * time.Minute
	// keysUsable is how long they are used while the service does not answer.
	keysUsable = time.Hour
	// keysInterval is the shortest time between two looks, keysAgain that after
	// one that failed.
	keysInterval = 10 * time.Second
	keysAgain    = time.Second
	// keysTimeout bounds how long requests wait for one.
	keysTimeout = 5 * time.Second
	// keysSize bounds what is read; a key has 150 to 600 bytes.
	keysSize = 1 << 20
)

// keySet is the service's public keys in memory.
type keySet struct {
	url  string
	http *http.Client
	now  func() time.Time

	current atomic.Pointer[keys]

	mu     sync.Mutex
	look   *look // under way, or the last one
	looked time.Time
}

// keys are what was published at one time. They do not change.
type keys struct {
	at    time.Time
	byKid map[string]*accesstoken.Key
}

// look is one look at the published keys, for whoever waits for it.
type look struct {
	done chan struct{}
	err  error // set before done is closed
}

func newKeySet(url string) *keySet {
	return &keySet{url: url, now: time.Now, http: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// find returns the key that a token names, or nil where the service has no
// such key. Errors: ErrNoKeys, that of the context.
func (s *keySet) find(ctx context.Context, kid string) (*accesstoken.Key, error) {
	known := s.current.Load()
	var age time.Duration
	if known != nil {
		age = s.now().Sub(known.at)
	}
	key := known.find(kid)
	switch {
	case key != nil && age < keysFresh:
		return key, nil
	case key != nil && age < 2*keysFresh:
		s.begin(ctx) // Nobody waits for it.
		return key, nil
	}
	l := s.begin(ctx)
	select {
	case <-l.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	known = s.current.Load()
	if known == nil || s.now().Sub(known.at) >= keysUsable {
		return nil, fmt.Errorf("%w: %w", ErrNoKeys, l.err)
	}
	if key := known.find(kid); key != nil {
		return key, nil
	}
	if l.err != nil { // It may be a new key.
		return nil, fmt.Errorf("%w: %w", ErrNoKeys, l.err)
	}
	return nil, nil
}

func (k *keys) find(kid string) *accesstoken.Key {
	if k == nil {
		return nil
	}
	return k.byKid[kid]
}

// begin looks at the published keys, unless that was done a moment ago or is
// being done.
func (s *keySet) begin(ctx context.Context) *look {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.look != nil && s.enough() {
		return s.look
	}
	l := &look{done: make(chan struct{})}
	s.look, s.looked = l, s.now()
	// Others wait for it too: it goes on when this caller hangs up.
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
		defer cancel()
		fetched, err := s.fetch(ctx)
		if err == nil {
			s.current.Store(&keys{at: s.now(), byKid: fetched})
		}
		l.err = err
		close(l.done)
	}()
	return l
}

// enough reports whether the last look will do. The caller holds mu.
func (s *keySet) enough() bool {
	since := s.now().Sub(s.looked)
	select {
	case <-s.look.done:
		return since < keysAgain || (s.look.err == nil && since < keysInterval)
	default: // It is under way.
		return true
	}
}

func (s *keySet) fetch(ctx context.Context) (map[string]*accesstoken.Key, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	r, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", s.url, r.StatusCode)
	}
	var set struct {
		Keys []accesstoken.JWK `json:"keys"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, keysSize)).Decode(&set); err != nil {
		return nil, fmt.Errorf("%s: %w", s.url, err)
	}
	byKid := make(map[string]*accesstoken.Key, len(set.Keys))
	for _, jwk := range set.Keys {
		// A key of a kind that a later version of the service may have is none of ours.
		if key, err := jwk.Key(); err == nil {
			byKid[jwk.Kid] = key
		}
	}
	if len(byKid) == 0 {
		return nil, errors.New("the service publishes no keys that sign tokens; does it sign with HS256?")
	}
	return byKid, nil
}
