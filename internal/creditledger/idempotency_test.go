package creditledger_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
)

func TestLedger_Replay(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("Grant", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		r := b.request()
		params := creditledger.GrantParams{UserID: b.userID, Amount: 10, ExpiresAt: in(time.Hour), Note: creditledger.Note{Description: ptr("gift")}}
		first, err := b.ledger.Grant(t.Context(), r, params)
		require.NoError(t, err)
		b.clock.Advance(2 * time.Hour) // by now, the expiry would be refused
		again, err := b.ledger.Grant(t.Context(), r, params)
		require.NoError(t, err)
		require.True(t, again.Replayed)
		requireSame(t, first.Transaction, again.Transaction)
		require.Len(t, b.history(t), 1)
	})

	t.Run("DebitAfterTheAccountWasEmptied", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		r, params := b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 6}
		first, err := b.ledger.Debit(t.Context(), r, params)
		require.NoError(t, err)
		_, err = b.debit(t, 4)
		require.NoError(t, err)
		again, err := b.ledger.Debit(t.Context(), r, params)
		require.NoError(t, err)
		require.True(t, again.Replayed)
		requireSame(t, first.Transaction, again.Transaction)
		require.Len(t, b.history(t), 3)
	})

	t.Run("WhatHasParts", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10, ExpiresAt: in(time.Hour)})
		transfer := creditledger.TransferParams{FromUserID: b.userID, ToUserID: b.fork(t).userID, Amount: 3, Reference: ptr("gift-1")}
		r := b.request()
		first, err := b.ledger.Transfer(t.Context(), r, transfer)
		require.NoError(t, err)
		again, err := b.ledger.Transfer(t.Context(), r, transfer)
		require.NoError(t, err)
		first.Replayed = true
		requireSame(t, first, again)

		operations := []creditledger.BulkOperation{
			creditledger.GrantParams{UserID: b.userID, Amount: 5},
			creditledger.DebitParams{UserID: uuid.New(), Amount: 1},
			transfer,
		}
		r = b.request()
		all, err := b.ledger.Bulk(t.Context(), r, false, operations)
		require.NoError(t, err)
		require.NotEmpty(t, all.Results[1].Problem)
		allAgain, err := b.ledger.Bulk(t.Context(), r, false, operations)
		require.NoError(t, err)
		all.Replayed = true
		requireSame(t, all, allAgain)
		for i, result := range allAgain.Results {
			require.Equal(t, i == 1, result.Problem != nil)
		}
	})

	t.Run("Holds", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		note := creditledger.Note{Description: ptr("a room"), Metadata: []byte(`{"nights":2}`)}
		params := creditledger.HoldParams{UserID: b.userID, Amount: 5, ExpiresIn: time.Hour, Reference: ptr("room-1"), Note: note}
		placed, incremented, captured := b.request(), b.request(), b.request()
		asked := make([]creditledger.HoldReceipt, 6)
		for i := range 2 { // what was answered, and not what became of it since
			var err error
			asked[3*i], err = b.ledger.Hold(t.Context(), placed, params)
			require.NoError(t, err)
			id := asked[0].Hold.ID
			b.clock.Advance(time.Minute)
			asked[3*i+1], err = b.ledger.IncrementHold(t.Context(), incremented, id, 2)
			require.NoError(t, err)
			b.clock.Advance(time.Minute)
			asked[3*i+2], err = b.ledger.CaptureHold(t.Context(), captured, id, creditledger.CaptureParams{Amount: ptr(int64(3))})
			require.NoError(t, err)
		}
		for i := range 3 {
			asked[i].Replayed = true
			require.Equal(t, asked[i], asked[3+i])
		}
	})

	t.Run("ByAUserActor", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		b.caller = creditledger.Actor{Type: creditledger.ActorUser, ID: b.userID}
		r, params := b.request(), creditledger.DebitParams{UserID: b.userID, Amount: 6, AllowPartial: true}
		first, err := b.ledger.Debit(t.Context(), r, params)
		require.NoError(t, err)
		require.Equal(t, b.caller, first.Transaction.Actor)
		again, err := b.ledger.Debit(t.Context(), r, params)
		require.NoError(t, err)
		requireSame(t, creditledger.Receipt{Transaction: first.Transaction, Replayed: true}, again)
	})
}

func TestLedger_SameKeyFiftyTimesAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("Applied", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 3})
		b.grant(t, creditledger.GrantParams{Amount: 100})
		r := b.request()
		receipts := make([]creditledger.Receipt, 50)
		errs := make([]error, len(receipts))
		atOnce(len(receipts), func(i int) {
			receipts[i], errs[i] = b.ledger.Debit(t.Context(), r, creditledger.DebitParams{
				UserID: b.userID, Amount: 10, Reference: ptr("order-1"),
				Note: creditledger.Note{Description: ptr("one order"), Metadata: []byte(`{"a":1}`)},
			})
		})
		require.NoError(t, errors.Join(errs...))
		applied := 0
		for _, got := range receipts {
			if !got.Replayed {
				applied++
			}
			requireSame(t, receipts[0].Transaction, got.Transaction)
		}
		require.Equal(t, 1, applied)
		require.Equal(t, int64(93), b.balance(t).Balance)
		require.Len(t, b.history(t), 3)
	})

	// No account, so no lock of it to meet at: they meet at the key.
	t.Run("RefusedForAnUnknownUser", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		for range 4 { // the first also opens the connections, one by one
			r, unknown := b.request(), uuid.New()
			errs := make([]error, 50)
			atOnce(len(errs), func(i int) {
				_, errs[i] = b.ledger.Debit(t.Context(), r, creditledger.DebitParams{UserID: unknown, Amount: 10})
			})
			first := refusedBy(t, errs[0])
			decided := 0
			for _, err := range errs {
				got := refusedBy(t, err)
				require.Equal(t, first.Body, got.Body)
				if !got.Replayed {
					decided++
				}
			}
			require.Equal(t, 1, decided)
		}
	})
}

// A refusal is given again, although what was the reason for it has passed.
func TestLedger_KeptRefusal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	limit := int64(creditledger.MaxBalance)
	for _, c := range []struct {
		name   string
		status int
		reason error
		before func(t *testing.T, b *bundle)
		ask    func(ctx context.Context, b *bundle, r creditledger.Request) (creditledger.Receipt, error)
		pass   func(t *testing.T, b *bundle)
	}{
		{
			name: "InsufficientCredits", status: http.StatusPaymentRequired, reason: creditledger.ErrInsufficientCredits,
			before: func(*testing.T, *bundle) {},
			ask: func(ctx context.Context, b *bundle, r creditledger.Request) (creditledger.Receipt, error) {
				return b.ledger.Debit(ctx, r, creditledger.DebitParams{UserID: b.userID, Amount: 10})
			},
			pass: func(t *testing.T, b *bundle) { b.grant(t, creditledger.GrantParams{Amount: 100}) },
		},
		{
			name: "UserNotFound", status: http.StatusNotFound, reason: creditledger.ErrUserNotFound,
			before: func(_ *testing.T, b *bundle) { b.userID = uuid.New() },
			ask: func(ctx context.Context, b *bundle, r creditledger.Request) (creditledger.Receipt, error) {
				return b.ledger.Grant(ctx, r, creditledger.GrantParams{UserID: b.userID, Amount: 10})
			},
			pass: func(t *testing.T, b *bundle) { b.openAccount(t, b.userID) },
		},
		{
			name: "BalanceLimitExceeded", status: http.StatusConflict, reason: creditledger.ErrBalanceLimitExceeded,
			before: func(t *testing.T, b *bundle) { b.grant(t, creditledger.GrantParams{Amount: limit}) },
			ask: func(ctx context.Context, b *bundle, r creditledger.Request) (creditledger.Receipt, error) {
				return b.ledger.Grant(ctx, r, creditledger.GrantParams{UserID: b.userID, Amount: 10})
			},
			pass: func(t *testing.T, b *bundle) {
				_, err := b.debit(t, limit)
				require.NoError(t, err)
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := b.fork(t)
			c.before(t, b)
			r := b.request()
			_, err := c.ask(t.Context(), b, r)
			require.ErrorIs(t, err, c.reason)
			first := refusedBy(t, err)
			require.False(t, first.Replayed)
			require.Equal(t, c.status, first.Status)
			require.NotEmpty(t, first.Body)
			require.EqualError(t, first, c.reason.Error())

			c.pass(t, b)
			before := b.history(t)
			for range 2 {
				_, err = c.ask(t.Context(), b, r)
				require.Equal(t, &creditledger.Refused{Status: first.Status, Body: first.Body, Replayed: true}, refusedBy(t, err))
				require.EqualError(t, err, fmt.Sprintf("refused with %d before", c.status))
				require.NotErrorIs(t, err, c.reason, "the reason is not kept")
			}
			requireSame(t, before, b.history(t))

			_, err = c.ask(t.Context(), b, b.request())
			require.NoError(t, err, "under a new key it is done")
		})
	}
}

func TestLedger_KeyReused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	debit := func(t *testing.T, b *bundle, r creditledger.Request) error {
		t.Helper()
		_, err := b.ledger.Debit(t.Context(), r, creditledger.DebitParams{UserID: b.userID, Amount: 5})
		return err
	}

	t.Run("ForAnotherRequest", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		r := b.request()
		require.NoError(t, debit(t, b, r))
		other := r
		other.Fingerprint[31]++
		require.ErrorIs(t, debit(t, b, other), creditledger.ErrKeyReused)
		require.NoError(t, debit(t, b, r), "the first request is still answered")
		require.Len(t, b.history(t), 2)
	})

	t.Run("AfterARefusal", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		r := b.request()
		requireShortfall(t, debit(t, b, r), 5, 0)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		other := r
		other.Fingerprint[0]++
		require.ErrorIs(t, debit(t, b, other), creditledger.ErrKeyReused)
		require.Len(t, b.history(t), 1)
	})

	t.Run("ByAnotherCaller", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		r := b.request()
		require.NoError(t, debit(t, b, r))
		r.Actor.ID = uuid.New()
		require.NoError(t, debit(t, b, r))
		r.Actor.ID, r.Fingerprint[0] = uuid.New(), r.Fingerprint[0]+1
		requireShortfall(t, debit(t, b, r), 5, 0)
		require.Len(t, b.history(t), 3)
	})
}

// Two accounts have two locks: the requests meet at the key alone.
func TestLedger_SameKeyOnTwoAccounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	accounts := [2]*bundle{b.fork(t), b.fork(t)}
	for _, a := range accounts {
		a.grant(t, creditledger.GrantParams{Amount: 100})
	}
	for range 30 {
		r := b.request()
		var receipts [2]creditledger.Receipt
		var errs [2]error
		atOnce(2, func(i int) {
			own := r
			own.Fingerprint[0] += byte(i)
			receipts[i], errs[i] = b.ledger.Debit(t.Context(), own, creditledger.DebitParams{UserID: accounts[i].userID, Amount: 1})
		})
		won, lost := 0, 1
		if errs[0] != nil {
			won, lost = 1, 0
		}
		require.NoError(t, errs[won])
		require.False(t, receipts[won].Replayed)
		require.ErrorIs(t, errs[lost], creditledger.ErrKeyReused)
	}
	require.Equal(t, int64(200-30), accounts[0].balance(t).Balance+accounts[1].balance(t).Balance)
}

// What does not depend on the state is not kept: the corrected request may have the key.
func TestLedger_InvalidIsNotKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(t, creditledger.GrantParams{Amount: 1, ExpiresAt: in(time.Hour)})
	b.clock.Advance(2 * time.Hour)
	r := b.request()
	params := creditledger.GrantParams{UserID: b.userID, Amount: 10, ExpiresAt: in(time.Hour)}
	_, err := b.ledger.Grant(t.Context(), r, params)
	require.Equal(t, apperr.Invalid, apperr.From(err).Kind)
	require.False(t, b.isKept(t, r))

	r.Fingerprint[0]++
	params.ExpiresAt = in(3 * time.Hour)
	got, err := b.ledger.Grant(t.Context(), r, params)
	require.NoError(t, err)
	require.False(t, got.Replayed)
	require.Equal(t, int64(10), got.Transaction.BalanceAfter)
}

// refusedBy returns the kept refusal in err.
func refusedBy(t *testing.T, err error) *creditledger.Refused {
	t.Helper()
	var refused *creditledger.Refused
	require.ErrorAs(t, err, &refused)
	return refused
}

// atOnce runs f n times in parallel.
func atOnce(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-start; f(i) })
	}
	close(start)
	wg.Wait()
}
