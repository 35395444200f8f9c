package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// counting begins when its load measures, and ends it after so many answers.
type counting struct {
	spread
	load *load
	left *atomic.Int64
	end  func()
}

func (c *counting) next() []byte {
	for c.load.phase.Load() == warming {
		runtime.Gosched()
	}
	return c.spread.next()
}

func (c *counting) answered(answer) {
	if c.left.Add(-1) == 0 {
		c.end()
	}
}

// Everything that is answered is counted as what it is, and a connection that
// breaks is replaced.
func TestLoad_Counts(t *testing.T) {
	t.Parallel()
	var served, refused, dropped atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch served.Add(1) % 10 {
		case 3:
			refused.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
		case 5:
			w.Header().Set("Connection", "close") // no failure
		case 7:
			dropped.Add(1)
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = c.Close()
			}
		default:
			w.WriteHeader(http.StatusCreated)
		}
	}))
	defer server.Close()
	e, err := parseEndpoint(server.URL)
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var left atomic.Int64
	left.Store(200)
	var started, ended int
	l := &load{
		endpoint: e, connections: 4, duration: time.Hour,
		started: func() { started++ }, ended: func() { ended++ },
	}
	l.script = func(int) script {
		return &counting{spread: spread{request: newRequest(e, "GET", "/", "")}, load: l, left: &left, end: cancel}
	}
	got, err := l.run(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, started)
	require.Equal(t, 1, ended)
	// One request of each connection may have been under way in the end.
	require.InDelta(t, served.Load()-refused.Load()-dropped.Load(), got.done, 4)
	require.InDelta(t, refused.Load(), got.statuses[503], 4)
	require.Len(t, got.statuses, 1)
	require.InDelta(t, dropped.Load(), got.failed()-got.statuses[503], 4)
	require.Positive(t, got.done)
	require.Positive(t, got.statuses[503])
	require.Equal(t, got.done, got.latency.TotalCount())
	require.Positive(t, got.quantile(0.5))
}

// Nobody waits for ever for a server that does not answer.
func TestLoad_NoAnswer(t *testing.T) {
	t.Parallel()
	never, release := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-never.Done() }))
	defer server.Close()
	defer release()
	e, err := parseEndpoint(server.URL)
	require.NoError(t, err)
	l := &load{
		endpoint: e, connections: 3, duration: time.Millisecond, grace: time.Millisecond, started: func() {}, ended: func() {},
		script: func(int) script { return &spread{request: newRequest(e, "GET", "/", "")} },
	}
	got, err := l.run(t.Context())
	require.NoError(t, err)
	require.Zero(t, got.done)
}

func TestLoad_NobodyThere(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	e, err := parseEndpoint(server.URL)
	require.NoError(t, err)
	server.Close()
	_, err = (&load{endpoint: e, connections: 2}).run(t.Context())
	require.ErrorContains(t, err, "connecting to the service")
}

// Whoever is late with a request, because the last answer was, waits from when
// it was due; whoever is early waits until then.
func TestWorker_Pace(t *testing.T) {
	t.Parallel()
	w := &worker{load: &load{pace: 10, connections: 5}, first: 100 * time.Millisecond, begin: time.Now().Add(-time.Hour)}
	due, more := w.wait(t.Context(), 3)
	require.True(t, more)
	require.Equal(t, 1600*time.Millisecond, due)

	w.begin = time.Now()
	due, more = w.wait(t.Context(), 0)
	require.True(t, more)
	require.GreaterOrEqual(t, due, w.first)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, more = w.wait(ended, 1_000_000)
	require.False(t, more)
}
