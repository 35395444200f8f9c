package identity

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/authservice/authservice/internal/apperr"
)

// busy takes all slots of h and returns what frees them.
func busy(h *hasher) (free func()) {
	for range cap(h.slots) {
		h.slots <- struct{}{}
	}
	return func() {
		for range cap(h.slots) {
			<-h.slots
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

func TestIdentity_PasswordQueue(t *testing.T) {
	t.Parallel()

	t.Run("IsBounded", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			h := newHasher(bcrypt.MinCost, nil)
			free := busy(h)
			errs := make(chan error, maxWaiting)
			for range maxWaiting {
				go func() {
					_, err := h.verify(t.Context(), nil, rightPassword)
					errs <- err
				}()
			}
			synctest.Wait()
			require.Empty(t, errs, "all of them wait")

			_, err := h.verify(t.Context(), nil, rightPassword)
			require.ErrorIs(t, err, errTooManyWaiting)
			requireUnavailable(t, err)
			_, err = h.hash(t.Context(), rightPassword)
			require.ErrorIs(t, err, errTooManyWaiting)
			requireUnavailable(t, err)

			free()
			for range maxWaiting {
				require.NoError(t, <-errs)
			}
			_, err = h.verify(t.Context(), nil, rightPassword)
			require.NoError(t, err, "the queue opens again")
		})
	})
	t.Run("OnlySlotsWork", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			h := newHasher(bcrypt.MinCost, nil)
			entered, leave := make(chan struct{}, maxWaiting), make(chan struct{})
			for range cap(h.slots) + 10 {
				go h.run(t.Context(), func() error {
					entered <- struct{}{}
					<-leave
					return nil
				})
			}
			synctest.Wait()
			require.Len(t, entered, cap(h.slots))
			close(leave)
			synctest.Wait()
			require.Len(t, entered, cap(h.slots)+10)
		})
	})
	t.Run("WhoGivesUpLeavesTheQueue", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			h := newHasher(bcrypt.MinCost, nil)
			defer busy(h)()
			ctx, cancel := context.WithCancel(t.Context())
			for range maxWaiting {
				go h.verify(ctx, nil, rightPassword)
			}
			synctest.Wait()
			require.EqualValues(t, maxWaiting, h.waiting.Load())
			cancel()
			synctest.Wait()
			require.Zero(t, h.waiting.Load())
		})
	})
	t.Run("WaitingEndsWithTheRequest", func(t *testing.T) {
		t.Parallel()
		h := newHasher(bcrypt.MinCost, nil)
		defer busy(h)()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := h.verify(ctx, nil, rightPassword)
		require.ErrorIs(t, err, context.Canceled)
		requireUnavailable(t, err)
	})
}

// Every use of a password goes through the queue.
func TestIdentity_PasswordQueue_Full(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t, ada)
	defer busy(b.hasher)()
	b.hasher.waiting.Store(maxWaiting)

	for _, email := range []string{ada, "bob@example.com", "ada"} {
		_, err := b.LogIn(t.Context(), email, rightPassword, Device{})
		requireUnavailable(t, err)
	}
	_, err := b.Register(t.Context(), NewUser{Email: "bob@example.com", Password: rightPassword}, Device{})
	requireUnavailable(t, err)
	_, err = b.CreateUser(t.Context(), NewUser{Email: "bob@example.com", Password: rightPassword, Role: RoleUser})
	requireUnavailable(t, err)
	require.EqualValues(t, maxWaiting, b.hasher.waiting.Load(), "who is refused does not count")
}
