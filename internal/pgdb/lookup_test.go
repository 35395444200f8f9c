package pgdb_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgdb"
)

// Whoever asks while queries are under way shares the one that begins next,
// and so never gets an answer that is older than the question.
func TestLookup_SharesTheNextQuery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked [][]int
		var begun []int
		var ended atomic.Int64
		state, gate := "old", make(chan struct{})
		lookup := pgdb.NewLookup(func(_ context.Context, keys []int) (map[int]string, error) {
			slices.Sort(keys)
			asked = append(asked, keys)
			answer := map[int]string{1: state, 2: state, 3: state}
			<-gate
			return answer, nil
		}, func(ctx context.Context, callers []context.Context) (context.Context, func()) {
			begun = append(begun, len(callers))
			return ctx, func() { ended.Add(1) }
		})
		var mu sync.Mutex
		got := map[int]string{}
		get := func(caller, key int) {
			go func() {
				value, found, err := lookup.Get(t.Context(), key)
				if err == nil && found {
					mu.Lock()
					defer mu.Unlock()
					got[caller] = value
				}
			}()
			synctest.Wait()
		}
		get(1, 1)
		state = "new"
		get(2, 2)
		get(3, 1)
		get(4, 3)
		get(5, 1)
		get(6, 4) // which there is not
		require.Equal(t, [][]int{{1}}, asked)

		gate <- struct{}{}
		synctest.Wait()
		require.Equal(t, [][]int{{1}, {1, 2, 3, 4}}, asked)
		close(gate)
		synctest.Wait()
		require.Equal(t, map[int]string{1: "old", 2: "new", 3: "new", 4: "new", 5: "new"}, maps.Clone(got))

		get(7, 1)
		require.Len(t, asked, 3, "nothing is kept")
		require.Equal(t, []int{1, 5, 1}, begun, "callers of each query")
		require.EqualValues(t, 3, ended.Load())
	})
}

func TestLookup_Fails(t *testing.T) {
	t.Parallel()
	cause := errors.New("away")
	lookup := pgdb.NewLookup(func(context.Context, []int) (map[int]string, error) { return nil, cause }, nil)
	_, found, err := lookup.Get(t.Context(), 1)
	require.ErrorIs(t, err, cause)
	require.False(t, found)
}

// A caller that has gone does not take the answer from the others.
func TestLookup_CallerLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		lookup := pgdb.NewLookup(func(ctx context.Context, _ []int) (map[int]string, error) {
			<-gate
			return map[int]string{1: "one"}, ctx.Err()
		}, nil)
		left, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 1)
		go func() { _, _, err := lookup.Get(left, 1); errs <- err }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-errs, context.Canceled)
		close(gate)
		value, _, err := lookup.Get(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, "one", value)
	})
}
