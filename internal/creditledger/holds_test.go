package creditledger_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

// place sets credits of the bundle's user apart for a quarter of an hour.
func (b *bundle) place(t T, amount int64) creditledger.Hold {
	t.Helper()
	r, err := b.ledger.Hold(t.Context(), b.request(), creditledger.HoldParams{UserID: b.userID, Amount: amount, ExpiresIn: creditledger.DefaultHold})
	require.NoError(t, err)
	return r.Hold
}

// capture spends some of a hold, or with nil what is left of it.
func (b *bundle) capture(t T, id uuid.UUID, amount *int64, final bool) (creditledger.Hold, error) {
	t.Helper()
	r, err := b.ledger.CaptureHold(t.Context(), b.request(), id, creditledger.CaptureParams{Amount: amount, Final: final})
	return r.Hold, err
}

func (b *bundle) void(t T, id uuid.UUID) error {
	t.Helper()
	_, err := b.ledger.VoidHold(t.Context(), b.request(), id)
	return err
}

func (b *bundle) requireBalance(t T, balance, held int64) {
	t.Helper()
	got := b.balance(t)
	require.Equal(t, []int64{balance, held, balance - held}, []int64{got.Balance, got.Held, got.Available()})
}

func TestLedger_Hold(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("SetsApart", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		note := creditledger.Note{Description: ptr("a room"), Metadata: []byte(`{"nights":2}`)}
		r, err := b.ledger.Hold(t.Context(), b.request(), creditledger.HoldParams{UserID: b.userID, Amount: 7, ExpiresIn: time.Hour, Reference: ptr("room-1"), Note: note})
		require.NoError(t, err)
		require.Equal(t, creditledger.Hold{
			ID: r.Hold.ID, UserID: b.userID, Amount: 7, Status: creditledger.HoldActive, ExpiresAt: r.Hold.CreatedAt.Add(time.Hour),
			Reference: ptr("room-1"), Note: note, CreatedAt: r.Hold.CreatedAt, UpdatedAt: r.Hold.CreatedAt,
		}, r.Hold)
		b.requireBalance(t, 10, 7)
		require.Len(t, b.history(t), 1, "nothing is spent")
		got, err := b.ledger.GetHold(t.Context(), r.Hold.ID)
		require.NoError(t, err)
		require.Equal(t, r.Hold, got)

		_, err = b.debit(t, 4)
		requireShortfall(t, err, 4, 3)
		partly, err := b.debitPartly(t, 4)
		require.NoError(t, err)
		require.Equal(t, int64(-3), partly.Amount, "what is held stays")
		_, err = b.ledger.Hold(t.Context(), b.request(), creditledger.HoldParams{UserID: b.userID, Amount: 1, ExpiresIn: time.Hour})
		requireShortfall(t, err, 1, 0)
	})

	t.Run("LastsNoLongerThanAYear", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		for _, lasts := range []time.Duration{-time.Second, 0, time.Nanosecond, creditledger.MaxHold + 1} {
			_, err := b.ledger.Hold(t.Context(), b.request(), creditledger.HoldParams{UserID: b.userID, Amount: 1, ExpiresIn: lasts})
			require.ErrorIs(t, err, creditledger.ErrExpiresInOutOfRange)
		}
		for _, lasts := range []time.Duration{time.Microsecond, creditledger.MaxHold} {
			_, err := b.ledger.Hold(t.Context(), b.request(), creditledger.HoldParams{UserID: b.userID, Amount: 1, ExpiresIn: lasts})
			require.NoError(t, err)
		}
	})

	t.Run("UnknownUser", func(t *testing.T) {
		t.Parallel()
		_, err := b.ledger.Hold(t.Context(), b.request(), creditledger.HoldParams{UserID: uuid.New(), Amount: 1, ExpiresIn: time.Hour})
		require.ErrorIs(t, err, creditledger.ErrUserNotFound)
	})
}

func TestLedger_CaptureHold(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("AllOnce", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		note := creditledger.Note{Description: ptr("a room"), Metadata: []byte(`{"nights":2}`)}
		r, err := b.ledger.Hold(t.Context(), b.request(), creditledger.HoldParams{UserID: b.userID, Amount: 7, ExpiresIn: time.Hour, Reference: ptr("room-1"), Note: note})
		require.NoError(t, err)
		h, err := b.capture(t, r.Hold.ID, nil, true)
		require.NoError(t, err)
		require.Equal(t, creditledger.HoldCaptured, h.Status)
		require.Equal(t, int64(7), h.Captured)
		b.requireBalance(t, 3, 0)

		x := b.history(t)[1]
		require.Equal(t, creditledger.TypeCapture, x.Type)
		require.Equal(t, int64(-7), x.Amount)
		require.Equal(t, &h.ID, x.HoldID)
		require.Equal(t, h.TransactionID, &x.ID)
		require.Equal(t, ptr("room-1"), x.Reference)
		require.Equal(t, note, x.Note)

		for _, amount := range []*int64{nil, ptr(int64(1))} {
			_, err = b.capture(t, h.ID, amount, true)
			require.ErrorIs(t, err, creditledger.ErrHoldNotActive)
		}
		require.ErrorIs(t, b.void(t, h.ID), creditledger.ErrHoldNotActive)
		_, err = b.ledger.IncrementHold(t.Context(), b.request(), h.ID, 1)
		require.ErrorIs(t, err, creditledger.ErrHoldNotActive)
		b.requireBalance(t, 3, 0)
	})

	t.Run("FinalLetsGoOfTheRest", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		h, err := b.capture(t, b.place(t, 7).ID, ptr(int64(4)), true)
		require.NoError(t, err)
		require.Equal(t, creditledger.HoldCaptured, h.Status)
		require.Equal(t, []int64{7, 4}, []int64{h.Amount, h.Captured})
		b.requireBalance(t, 6, 0)
	})

	t.Run("InParts", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		id := b.place(t, 7).ID
		h, err := b.capture(t, id, ptr(int64(4)), false)
		require.NoError(t, err)
		require.Equal(t, creditledger.HoldActive, h.Status)
		b.requireBalance(t, 6, 3)
		_, err = b.capture(t, id, ptr(int64(4)), false)
		require.ErrorIs(t, err, creditledger.ErrCaptureExceedsHold)
		b.requireBalance(t, 6, 3)
		h, err = b.capture(t, id, ptr(int64(3)), false)
		require.NoError(t, err)
		require.Equal(t, creditledger.HoldCaptured, h.Status, "nothing is left of it")
		b.requireBalance(t, 3, 0)
	})

	t.Run("Exceeds", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		id := b.place(t, 7).ID
		_, err := b.capture(t, id, ptr(int64(8)), true)
		require.ErrorIs(t, err, creditledger.ErrCaptureExceedsHold, "even where the account has more")
		b.requireBalance(t, 10, 7)
	})

	t.Run("Unknown", func(t *testing.T) {
		t.Parallel()
		_, err := b.capture(t, uuid.New(), nil, true)
		require.ErrorIs(t, err, creditledger.ErrHoldNotFound)
		require.ErrorIs(t, b.void(t, uuid.New()), creditledger.ErrHoldNotFound)
		_, err = b.ledger.IncrementHold(t.Context(), b.request(), uuid.New(), 1)
		require.ErrorIs(t, err, creditledger.ErrHoldNotFound)
		_, err = b.ledger.GetHold(t.Context(), uuid.New())
		require.ErrorIs(t, err, creditledger.ErrHoldNotFound)
	})
}

func TestLedger_IncrementHold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 10})
	placed := b.place(t, 4)
	r, err := b.ledger.IncrementHold(t.Context(), b.request(), placed.ID, 5)
	require.NoError(t, err)
	require.Equal(t, int64(9), r.Hold.Amount)
	require.Equal(t, placed.ExpiresAt, r.Hold.ExpiresAt, "does not last longer")
	b.requireBalance(t, 10, 9)
	_, err = b.ledger.IncrementHold(t.Context(), b.request(), placed.ID, 2)
	requireShortfall(t, err, 2, 1)
	_, err = b.capture(t, placed.ID, nil, true)
	require.NoError(t, err)
	b.requireBalance(t, 1, 0)
}

func TestLedger_VoidHold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 10})
	id := b.place(t, 7).ID
	_, err := b.capture(t, id, ptr(int64(2)), false)
	require.NoError(t, err)
	require.NoError(t, b.void(t, id))
	b.requireBalance(t, 8, 0)
	h, err := b.ledger.GetHold(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, creditledger.HoldVoided, h.Status)
	require.Equal(t, int64(2), h.Captured)
	require.ErrorIs(t, b.void(t, id), creditledger.ErrHoldNotActive)
	require.Len(t, b.history(t), 2, "a void spends nothing")
	_, err = b.debit(t, 8)
	require.NoError(t, err)
}

// Nobody has to close what is over: it is, for readers and for whatever is asked next.
func TestLedger_HoldExpires(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("ToTheMicrosecond", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		h := b.place(t, 7)
		b.clock.Set(h.ExpiresAt.Add(-time.Microsecond))
		b.requireBalance(t, 10, 7)
		_, err := b.debit(t, 4)
		requireShortfall(t, err, 4, 3)
		b.clock.Set(h.ExpiresAt)
		b.requireBalance(t, 10, 0)
		seen, err := b.ledger.GetHold(t.Context(), h.ID)
		require.NoError(t, err)
		require.Equal(t, creditledger.HoldExpired, seen.Status)
		_, err = b.debit(t, 10)
		require.NoError(t, err)
		b.requireBalance(t, 0, 0)
	})

	for name, ask := range map[string]func(t T, b *bundle, id uuid.UUID) error{
		"Capture": func(t T, b *bundle, id uuid.UUID) error {
			_, err := b.capture(t, id, ptr(int64(1)), true)
			return err
		},
		"Void": func(t T, b *bundle, id uuid.UUID) error { return b.void(t, id) },
		"Increment": func(t T, b *bundle, id uuid.UUID) error {
			_, err := b.ledger.IncrementHold(t.Context(), b.request(), id, 1)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := b.fork(t)
			b.grant(t, creditledger.GrantParams{Amount: 10})
			h := b.place(t, 7)
			b.clock.Set(h.ExpiresAt)
			require.ErrorIs(t, ask(t, b, h.ID), creditledger.ErrHoldNotActive)
			b.requireBalance(t, 10, 0)
			require.Len(t, b.history(t), 1)
		})
	}

	t.Run("WhatWasCapturedStaysSo", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		h := b.place(t, 7)
		_, err := b.capture(t, h.ID, ptr(int64(2)), false)
		require.NoError(t, err)
		b.clock.Set(h.ExpiresAt)
		b.requireBalance(t, 8, 0)
	})
}

// What is held of a grant outlives it, until the hold lets go of it.
func TestLedger_HeldPartDoesNotExpire(t *testing.T) {
	t.Parallel()
	b := setup(t)
	heldOverExpiry := func(t *testing.T, b *bundle) (*bundle, creditledger.Hold) {
		t.Helper()
		b.grant(t, creditledger.GrantParams{Amount: 10, ExpiresAt: in(time.Minute)})
		h := b.place(t, 6)
		b.clock.Set(epoch.Add(2 * time.Minute))
		b.requireBalance(t, 6, 6)
		_, err := b.debit(t, 1)
		requireShortfall(t, err, 1, 0)
		require.Equal(t, int64(-4), b.history(t)[1].Amount, "the rest has expired")
		require.Equal(t, []int64{6, 6}, []int64{b.grants(t)[0].Remaining, b.grants(t)[0].Held})
		return b, h
	}

	t.Run("IsCaptured", func(t *testing.T) {
		t.Parallel()
		b, h := heldOverExpiry(t, b.fork(t))
		_, err := b.capture(t, h.ID, nil, true)
		require.NoError(t, err)
		b.requireBalance(t, 0, 0)
		require.Len(t, b.history(t), 3)
	})

	t.Run("IsOverWhenLetGo", func(t *testing.T) {
		t.Parallel()
		b, h := heldOverExpiry(t, b.fork(t))
		require.NoError(t, b.void(t, h.ID))
		b.requireBalance(t, 0, 0)
		history := b.history(t)
		require.Equal(t, creditledger.TypeExpiry, history[2].Type)
		require.Equal(t, int64(-6), history[2].Amount)
	})

	t.Run("IsOverWithTheRestOfACapture", func(t *testing.T) {
		t.Parallel()
		b, h := heldOverExpiry(t, b.fork(t))
		_, err := b.capture(t, h.ID, ptr(int64(2)), true)
		require.NoError(t, err)
		b.requireBalance(t, 0, 0)
		require.Equal(t, int64(-4), b.history(t)[3].Amount)
	})

	t.Run("IsOverWithTheHold", func(t *testing.T) {
		t.Parallel()
		b, h := heldOverExpiry(t, setup(t)) // alone: a sweep spares nobody
		b.clock.Set(h.ExpiresAt)
		b.requireBalance(t, 0, 0)
		require.NoError(t, b.ledger.ExpireDue(t.Context()))
		b.requireBalance(t, 0, 0)
		require.Equal(t, int64(-6), b.history(t)[2].Amount)
	})
}

func TestLedger_Holds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 100})
	var want []creditledger.Hold
	for i := range 6 {
		b.clock.Advance(time.Second)
		want = append([]creditledger.Hold{b.place(t, int64(i+1))}, want...)
	}
	var got []creditledger.Hold
	for before, more := uuid.Max, true; more; before = got[len(got)-1].ID {
		var page []creditledger.Hold
		var err error
		page, more, err = b.ledger.Holds(t.Context(), b.userID, before, 3)
		require.NoError(t, err)
		require.Len(t, page, 3)
		got = append(got, page...)
		b.place(t, 1) // newer than the page
	}
	require.Equal(t, want, got)
	_, _, err := b.ledger.Holds(t.Context(), uuid.New(), uuid.Max, 3)
	require.ErrorIs(t, err, creditledger.ErrUserNotFound)
	empty, more, err := b.ledger.Holds(t.Context(), b.fork(t).userID, uuid.Max, 3)
	require.NoError(t, err)
	require.Empty(t, empty)
	require.False(t, more)
}
