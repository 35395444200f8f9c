package faults_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/faults"
)

// Connections go to a replica that is ready; where none is, to one that is there.
func TestBalancer_Connections(t *testing.T) {
	t.Parallel()
	b := faults.NewBalancer(t)
	replica := func(name string) *atomic.Bool {
		ready := &atomic.Bool{}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/health/ready" && !ready.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			_, _ = io.WriteString(w, name)
		}))
		t.Cleanup(server.Close)
		b.Add(server.URL)
		return ready
	}
	first, second := replica("first"), replica("second")
	address := b.Connections(t)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answers := func() map[string]bool {
		all := map[string]bool{}
		for range 10 {
			response, err := client.Get("http://" + address)
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			all[string(body)] = true
		}
		return all
	}
	both := map[string]bool{"first": true, "second": true}
	ready := func(n int) {
		require.Eventually(t, func() bool { return b.Ready() == n }, 20*time.Second, time.Millisecond)
	}

	require.Equal(t, both, answers(), "none is ready")
	first.Store(true)
	ready(1)
	require.Equal(t, map[string]bool{"first": true}, answers())
	second.Store(true)
	ready(2)
	require.Equal(t, both, answers())
	first.Store(false)
	ready(1)
	require.Equal(t, map[string]bool{"second": true}, answers())
}
