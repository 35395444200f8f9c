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
	"github.com/authservice/authservice/internal/bcryptworker"
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

// doing is a pool in which all work is f.
func doing(slots, queue int, f func() error) *hashPool {
	return newHashPool(slots, queue, func(bcryptworker.Work) (bcryptworker.Result, error) { return bcryptworker.Result{}, f() })
}

// ask has it done.
func (p *hashPool) ask(ctx context.Context) error {
	_, err := p.do(ctx, bcryptworker.Work{})
	return err
}

// unasked is what is not to be done.
func unasked() error { panic("who is refused gets no work done") }

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
			entered, leave := make(chan struct{}, 13), make(chan struct{})
			p := doing(3, 10, func() error {
				entered <- struct{}{}
				<-leave
				return nil
			})
			p.delay = 0
			for range cap(entered) {
				go p.ask(t.Context())
			}
			synctest.Wait()
			require.Len(t, entered, 3)
			requireUnavailable(t, p.ask(t.Context()))
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
			var served []int
			p := newHashPool(1, 10, func(w bcryptworker.Work) (bcryptworker.Result, error) {
				served = append(served, w.Cost)
				return bcryptworker.Result{}, nil
			})
			p.slots <- struct{}{}
			for i := range 10 {
				go p.do(t.Context(), bcryptworker.Work{Cost: i})
				synctest.Wait()
			}
			<-p.slots
			synctest.Wait()
			require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, served)
		})
	})
	t.Run("TakesAllProcessors", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, runtime.GOMAXPROCS(0), cap(cheap(nil).pool.slots))
	})
	t.Run("RefusesSlowly", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p := doing(1, 1, unasked)
			p.slots <- struct{}{}
			p.waiting.Store(1)
			began := time.Now()
			requireUnavailable(t, p.ask(t.Context()))
			require.Equal(t, time.Second, time.Since(began))

			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			requireUnavailable(t, p.ask(ctx))
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
			p := doing(2, 10, func() error { time.Sleep(300 * time.Millisecond); return nil })
			p.delay = 0
			require.NoError(t, p.ask(t.Context()))
			for range 12 {
				go p.ask(t.Context())
			}
			synctest.Wait()
			err := p.ask(t.Context())
			require.Equal(t, 1500*time.Millisecond, apperr.From(err).RetryAfter, "10 wait for 2 slots, 300 ms each")

			began := time.Now()
			time.Sleep(apperr.From(err).RetryAfter)
			require.NoError(t, p.ask(t.Context()))
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
	t.Run("WorkOutlivesTheRequest", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			leave := make(chan struct{})
			p := doing(1, 1, func() error { <-leave; return nil })
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			began := time.Now()
			requireUnavailable(t, p.ask(ctx))
			require.Equal(t, 3*time.Second, time.Since(began), "who asked does not wait for ever")
			require.Len(t, p.slots, 1, "and no other begins in its place")
			close(leave)
			require.NoError(t, p.ask(t.Context()))
		})
	})
	t.Run("FaultsFreeTheSlot", func(t *testing.T) {
		t.Parallel()
		fault := errors.New("fault")
		faults := []func() error{func() error { return fault }, func() error { panic(fault) }, func() error { return nil }}
		p := doing(1, 1, func() error {
			next := faults[0]
			faults = faults[1:]
			return next()
		})
		require.ErrorIs(t, p.ask(t.Context()), fault)
		require.PanicsWithValue(t, fault, func() { p.ask(t.Context()) })
		require.NoError(t, p.ask(t.Context()))
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
