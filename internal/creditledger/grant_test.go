package creditledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
)

func TestLedger_Grant(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("WithAllTerms", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		r := b.request()
		note := creditledger.Note{Description: ptr("welcome"), Metadata: []byte(`{"campaign":"spring"}`)}
		receipt, err := b.ledger.Grant(t.Context(), r, creditledger.GrantParams{
			UserID: b.userID, Amount: 10050, ExpiresAt: in(time.Hour), Priority: 7, Reference: ptr("invoice-1"), Note: note,
		})
		require.NoError(t, err)
		require.False(t, receipt.Replayed)

		got := receipt.Transaction
		requireSame(t, creditledger.Transaction{
			UserID: b.userID, Sequence: 1, ID: got.ID, Type: creditledger.TypeGrant, Amount: 10050, BalanceAfter: 10050,
			Reference: ptr("invoice-1"), Note: note, GrantID: got.GrantID,
			Actor: b.caller, IdempotencyKey: &r.Key, Hash: got.Hash, CreatedAt: epoch,
		}, got)
		requireSame(t, []creditledger.Transaction{got}, b.history(t))
		require.Empty(t, cmp.Diff([]creditledger.Grant{{
			ID: *got.GrantID, UserID: b.userID, Amount: 10050, Remaining: 10050, Priority: 7, ExpiresAt: in(time.Hour),
			Status: creditledger.GrantActive, TransactionID: got.ID, Sequence: 1, Reference: ptr("invoice-1"), CreatedAt: epoch,
		}}, b.grants(t)))
	})

	t.Run("UnknownUser", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		_, err := b.ledger.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: uuid.New(), Amount: 1})
		require.ErrorIs(t, err, creditledger.ErrUserNotFound)
	})

	t.Run("ExpiryIsKeptInMicroseconds", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		elsewhere := epoch.Add(time.Hour + 1234*time.Nanosecond).In(time.FixedZone("", 3600))
		b.grant(t, creditledger.GrantParams{Amount: 1, ExpiresAt: &elsewhere})
		require.Equal(t, in(time.Hour+time.Microsecond), b.grants(t)[0].ExpiresAt)
	})
}

func TestLedger_GrantExpiryMustLieAhead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct {
		name  string
		after time.Duration
		ok    bool
	}{
		{"LongPast", -time.Hour, false},
		{"JustPast", -time.Microsecond, false},
		{"Now", 0, false},
		{"LessThanAMicrosecondAhead", 999 * time.Nanosecond, false},
		{"JustAhead", time.Microsecond, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := b.fork(t)
			_, err := b.ledger.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 1, ExpiresAt: in(c.after)})
			if c.ok {
				require.NoError(t, err)
				return
			}
			refused := apperr.From(err)
			require.Equal(t, apperr.Invalid, refused.Kind)
			require.Equal(t, "/expires_at", refused.Fields[0].Pointer)
			require.Empty(t, b.history(t))
			require.Empty(t, b.grants(t))
		})
	}
}

func TestLedger_BalanceLimit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	limit := int64(creditledger.MaxBalance)

	t.Run("OneGrantUpToIt", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: limit})
		require.Equal(t, int64(9007199254740991), b.balance(t).Balance)
		_, err := b.ledger.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 1})
		require.ErrorIs(t, err, creditledger.ErrBalanceLimitExceeded)
		got, err := b.debit(t, limit)
		require.NoError(t, err)
		require.Zero(t, got.BalanceAfter)
	})

	t.Run("SeveralGrantsUpToIt", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: limit - 10})
		_, err := b.ledger.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: b.userID, Amount: 11})
		require.ErrorIs(t, err, creditledger.ErrBalanceLimitExceeded)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		require.Equal(t, limit, b.balance(t).Balance)
		require.Len(t, b.history(t), 2)
	})

	t.Run("TwoLargestAmountsDoNotOverflow", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: limit})
		_, err := b.ledger.Grant(t.Context(), b.request(), creditledger.GrantParams{UserID: b.userID, Amount: limit})
		require.ErrorIs(t, err, creditledger.ErrBalanceLimitExceeded)
	})

	t.Run("WhatIsDueMakesRoomFirst", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: limit, ExpiresAt: in(time.Hour)})
		b.clock.Advance(time.Hour)
		got := b.grant(t, creditledger.GrantParams{Amount: limit})
		require.Equal(t, limit, got.BalanceAfter)
		require.Equal(t, int64(3), got.Sequence)
	})
}
