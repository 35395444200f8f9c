package creditledger

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// queue is a poster whose batches are posted when the test says so.
type queue struct {
	poster
	batches chan []*operation
	posted  chan struct{}
}

func newQueue() *queue {
	q := &queue{batches: make(chan []*operation), posted: make(chan struct{})}
	q.poster = newPoster(func(ops []*operation, _ bool) []*operation {
		q.batches <- ops
		<-q.posted
		return nil
	})
	return q
}

// post lets the batch under way be posted, and returns the weights of the one after it.
func (q *queue) post() (weights []int) {
	q.posted <- struct{}{}
	for _, op := range <-q.batches {
		weights = append(weights, op.weight)
	}
	return weights
}

func weighing(weight int) *operation {
	return &operation{accounts: []uuid.UUID{uuid.New()}, weight: weight}
}

// The queue holds so much and no more, but always one request, whatever it weighs.
func TestPoster_QueueIsBounded(t *testing.T) {
	t.Parallel()
	q := newQueue()
	require.NoError(t, q.add(weighing(2*queueWeight)))
	require.Len(t, <-q.batches, 1)

	require.NoError(t, q.add(weighing(2*queueWeight)))
	require.ErrorIs(t, q.add(weighing(1)), ErrBusy)
	require.Equal(t, []int{2 * queueWeight}, q.post())

	require.NoError(t, q.add(weighing(1)))
	require.ErrorIs(t, q.add(weighing(queueWeight)), ErrBusy)
	require.NoError(t, q.add(weighing(queueWeight-1)))
	require.ErrorIs(t, q.add(weighing(1)), ErrBusy)
	require.Equal(t, []int{1}, q.post())
	require.NoError(t, q.add(weighing(1)), "there is room again")
	require.Equal(t, []int{queueWeight - 1}, q.post())
	require.Equal(t, []int{1}, q.post())
	q.posted <- struct{}{}
}

// What comes in while a batch is under way goes together, up to the weight of a batch, in its order.
func TestPoster_BatchIsBounded(t *testing.T) {
	t.Parallel()
	q := newQueue()
	require.NoError(t, q.add(weighing(1)))
	require.Len(t, <-q.batches, 1)
	for _, weight := range []int{500, 12, 1, 511, 1, 513, 2, 1000} {
		require.NoError(t, q.add(weighing(weight)))
	}
	for _, want := range [][]int{{500, 12}, {1, 511}, {1}, {513}, {2}, {1000}} {
		require.Equal(t, want, q.post())
	}
	q.posted <- struct{}{}
}

// Who has gone is not posted, and takes no room.
func TestPoster_Abandoned(t *testing.T) {
	t.Parallel()
	q := newQueue()
	require.NoError(t, q.add(weighing(1)))
	require.Len(t, <-q.batches, 1)
	gone := weighing(1)
	for _, op := range []*operation{weighing(2), gone, weighing(3)} {
		require.NoError(t, q.add(op))
	}
	gone.state.Store(stateAbandoned)
	require.Equal(t, []int{2, 3}, q.post())
	require.NoError(t, q.add(weighing(1)))
	require.NoError(t, q.add(weighing(queueWeight-1)))
	require.Equal(t, []int{1}, q.post())
	require.Equal(t, []int{queueWeight - 1}, q.post())
	q.posted <- struct{}{}
}

// So many batches wait for accounts that others have locked, and no more; the rest wait their turn.
func TestPoster_WaitersAreBounded(t *testing.T) {
	t.Parallel()
	unlock := make(chan struct{})
	p := newPoster(nil)
	p.run = func(ops []*operation, wait bool) []*operation {
		if wait {
			<-unlock
			return nil
		}
		return ops // all are locked
	}
	states := func(waiting, apart int) {
		t.Helper()
		require.Eventually(t, func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.waiting == waiting && len(p.apart) == apart && len(p.queue)+p.running == 0
		}, 30*time.Second, time.Millisecond)
	}
	for range waiters + 2 {
		require.NoError(t, p.add(weighing(1)))
	}
	states(waiters, 2)
	unlock <- struct{}{}
	states(waiters, 1)
	close(unlock)
	states(0, 0)
	require.Empty(t, p.busy)
}

func TestPoster_GroupsByFirstAccount(t *testing.T) {
	t.Parallel()
	one, two, again := weighing(1), weighing(2), weighing(3)
	again.accounts = []uuid.UUID{one.accounts[0], two.accounts[0]}
	require.Equal(t, [][]*operation{{one, again}, {two}}, byFirstAccount([]*operation{one, two, again}))
}
