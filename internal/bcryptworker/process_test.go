package bcryptworker

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

const soon = 20 * time.Second

// start runs a process until the test ends, or stop is called.
func start(t *testing.T) (p *Process, log *buffer, stop func()) {
	t.Helper()
	p, log = newProcess(t, os.Args[0])
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { p.Run(ctx); close(ended) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	require.Eventually(t, func() bool { return p.client.Load() != nil }, soon, time.Millisecond)
	return p, log, stop
}

// asked has the process itself do the work, and nobody in its place.
func (p *Process) asked(w Work) (r Result, err error) {
	return r, p.client.Load().Call("Worker.Do", w, &r)
}

func TestProcess(t *testing.T) {
	t.Parallel()
	p, log, _ := start(t)
	password, wrong := []byte("right"), []byte("wrong")
	for _, do := range []func(Work) (Result, error){p.Do, p.asked} {
		made, err := do(Work{Password: password, Cost: bcrypt.MinCost})
		require.NoError(t, err)
		require.NoError(t, bcrypt.CompareHashAndPassword(made.Hash, password))
		for want, tried := range map[bool][]byte{true: password, false: wrong} {
			r, err := do(Work{Password: tried, Hash: made.Hash, Idle: []int{bcrypt.MinCost}})
			require.NoError(t, err)
			require.Equal(t, Result{Match: want}, r)
		}
	}
	require.Empty(t, log.String())
}

func TestProcess_AtOnce(t *testing.T) {
	t.Parallel()
	p, _, _ := start(t)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			password := []byte{byte(i + 1)}
			made, err := p.asked(Work{Password: password, Cost: bcrypt.MinCost})
			require.NoError(t, err)
			require.NoError(t, bcrypt.CompareHashAndPassword(made.Hash, password), "each gets the answer to its own question")
		})
	}
	all.Wait()
}

// Where processes cannot be started, passwords are hashed all the same.
func TestProcess_NoProgram(t *testing.T) {
	t.Parallel()
	p, log := newProcess(t, "/nonexistent/program")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { p.Run(ctx); close(ended) }()
	require.Eventually(t, func() bool { return log.String() != "" }, soon, time.Millisecond)
	require.Contains(t, log.String(), "no such file")
	made, err := p.Do(Work{Password: []byte("right"), Cost: bcrypt.MinCost})
	require.NoError(t, err)
	require.NoError(t, bcrypt.CompareHashAndPassword(made.Hash, []byte("right")))
	cancel()
	<-ended
}

func TestProcess_Stops(t *testing.T) {
	t.Parallel()
	p, log, stop := start(t)
	stop()
	require.Nil(t, p.client.Load())
	require.Empty(t, log.String(), "nothing to be told of")
}
