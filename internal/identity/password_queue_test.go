package identity

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
)

// busy takes all slots of h and returns what frees them.
func busy(h *hasher) (free func()) {
	for range cap(h.pool.slots) {
		h.pool.slots <- struct{}{}
	}
	return func() {
		for range cap(h.pool.slots) {
			<-h.pool.slots
		}
	}
}

func requireUnavailable(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	refusal := apperr.From(err)
	require.Equal(t, apperr.Unavailable, refusal.Kind)
	require.Equal(t, time.Second, refusal.RetryAfter)
}

func TestHasher_Queue(t *testing.T) {
	t.Parallel()

	t.Run("IsBounded", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			h := cheap(nil)
			free := busy(h)
			errs := make(chan error, defaultQueue)
			for range defaultQueue {
				go func() {
					_, err := h.verify(t.Context(), nil, rightPassword)
					errs <- err
				}()
			}
			synctest.Wait()
			require.Empty(t, errs, "all of them wait")

			stored := imported2a
			for range 2 { // Who is refused takes no place.
				_, err := h.verify(t.Context(), &stored, rightPassword)
				require.ErrorIs(t, err, errTooManyWaiting)
				requireUnavailable(t, err)
				_, err = h.hash(t.Context(), rightPassword)
				require.ErrorIs(t, err, errTooManyWaiting)
				requireUnavailable(t, err)
				requireUnavailable(t, h.dummy(t.Context()))
				require.EqualValues(t, defaultQueue, h.pool.waiting.Load())
			}

			free()
			for range defaultQueue {
				require.NoError(t, <-errs)
			}
			got, err := h.verify(t.Context(), &stored, rightPassword)
			require.NoError(t, err, "the queue opens again")
			require.True(t, got.match)
		})
	})
	t.Run("OnlySlotsWork", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p := newHashPool(3, 10)
			p.delay = 0
			entered, leave := make(chan struct{}, 13), make(chan struct{})
			for range cap(entered) {
				go p.do(t.Context(), func() error {
					entered <- struct{}{}
					<-leave
					return nil
				})
			}
			synctest.Wait()
			require.Len(t, entered, 3)
			requireUnavailable(t, p.do(t.Context(), func() error { return errors.New("not run") }))
			s := &Service{hasher: &hasher{pool: p}}
			require.Equal(t, HashQueue{Running: 3, Waiting: 10, Slots: 3, Queue: 10, Refused: 1}, s.HashQueue())
			time.Sleep(time.Second)
			close(leave)
			synctest.Wait()
			require.Len(t, entered, cap(entered))
			require.Equal(t, HashQueue{Slots: 3, Queue: 10, Done: 13, Refused: 1, Time: 3 * time.Second}, s.HashQueue())
			require.Empty(t, p.slots)
			require.Zero(t, p.waiting.Load())
		})
	})
	t.Run("FirstComeFirstServed", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p := newHashPool(1, 10)
			p.slots <- struct{}{}
			var served []int
			for i := range 10 {
				go p.do(t.Context(), func() error { served = append(served, i); return nil })
				synctest.Wait()
			}
			<-p.slots
			synctest.Wait()
			require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, served)
		})
	})
	t.Run("LeavesHalf", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, max(1, runtime.GOMAXPROCS(0)/2), cap(cheap(nil).pool.slots))
	})
	t.Run("RefusesSlowly", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p := newHashPool(1, 1)
			p.slots <- struct{}{}
			p.waiting.Store(1)
			began := time.Now()
			requireUnavailable(t, p.do(t.Context(), func() error { return errors.New("not run") }))
			require.Equal(t, time.Second, time.Since(began))

			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			requireUnavailable(t, p.do(ctx, func() error { return errors.New("not run") }))
			require.Equal(t, time.Second+time.Millisecond, time.Since(began), "nobody waits longer than for an answer")
			require.EqualValues(t, 1, p.waiting.Load(), "nor takes a place")
		})
	})
	t.Run("AsLargeAsAskedFor", func(t *testing.T) {
		t.Parallel()
		h := newHasher(PasswordOptions{Cost: 4, Slots: 5, Queue: 7})
		require.Equal(t, 5, cap(h.pool.slots))
		defer busy(h)()
		h.pool.waiting.Store(7)
		requireUnavailable(t, h.dummy(t.Context()))
	})
	t.Run("SaysWhenToComeBack", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p := newHashPool(2, 10)
			p.delay = 0
			work := func() error { time.Sleep(300 * time.Millisecond); return nil }
			require.NoError(t, p.do(t.Context(), work))
			for range 12 {
				go p.do(t.Context(), work)
			}
			synctest.Wait()
			err := p.do(t.Context(), work)
			require.Equal(t, 1500*time.Millisecond, apperr.From(err).RetryAfter, "10 wait for 2 slots, 300 ms each")

			began := time.Now()
			time.Sleep(apperr.From(err).RetryAfter)
			require.NoError(t, p.do(t.Context(), work))
			require.Equal(t, 2100*time.Millisecond, time.Since(began), "the last of those before, and this one")
		})
	})
	t.Run("WhoGivesUpLeavesTheQueue", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			h := cheap(nil)
			free := busy(h)
			ctx, cancel := context.WithCancel(t.Context())
			errs := make(chan error, defaultQueue)
			for range defaultQueue {
				go func() {
					_, err := h.verify(ctx, nil, rightPassword)
					errs <- err
				}()
			}
			synctest.Wait()
			require.EqualValues(t, defaultQueue, h.pool.waiting.Load())
			cancel()
			for range defaultQueue {
				err := <-errs
				require.ErrorIs(t, err, context.Canceled)
				requireUnavailable(t, err)
			}
			require.Zero(t, h.pool.waiting.Load())

			free()
			require.NoError(t, h.dummy(t.Context()), "the others go on")
		})
	})
	t.Run("WaitingEndsWithTheRequest", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			h := cheap(nil)
			defer busy(h)()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			began := time.Now()
			_, err := h.hash(ctx, rightPassword)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			requireUnavailable(t, err)
			require.Equal(t, 3*time.Second, time.Since(began))
		})
	})
	t.Run("FaultsFreeTheSlot", func(t *testing.T) {
		t.Parallel()
		p := newHashPool(1, 1)
		fault := errors.New("fault")
		require.ErrorIs(t, p.do(t.Context(), func() error { return fault }), fault)
		require.Panics(t, func() { p.do(t.Context(), func() error { panic(fault) }) })
		require.NoError(t, p.do(t.Context(), func() error { return nil }))
	})
}

// Every use of a password goes through the queue.
func TestIdentity_PasswordQueue_Full(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t, ada)
	defer busy(b.hasher)()
	b.hasher.pool.waiting.Store(defaultQueue)

	for _, email := range []string{ada, "bob@example.com", "ada"} {
		_, err := b.LogIn(t.Context(), email, rightPassword, Device{})
		requireUnavailable(t, err)
	}
	_, err := b.Register(t.Context(), NewUser{Email: "bob@example.com", Password: rightPassword}, Device{})
	requireUnavailable(t, err)
	_, err = b.CreateUser(t.Context(), NewUser{Email: "bob@example.com", Password: rightPassword, Role: RoleUser})
	requireUnavailable(t, err)
	require.EqualValues(t, defaultQueue, b.hasher.pool.waiting.Load(), "who is refused does not count")
}
