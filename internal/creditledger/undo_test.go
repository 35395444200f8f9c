package creditledger_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
)

func (b *bundle) revoke(t T, id uuid.UUID) (creditledger.Transaction, error) {
	t.Helper()
	r, err := b.ledger.RevokeGrant(t.Context(), b.request(), id)
	return r.Transaction, err
}

func (b *bundle) requireGrant(t T, want creditledger.GrantStatus, remaining, held int64) {
	t.Helper()
	g := b.grants(t)
	oldest := g[len(g)-1]
	require.Equal(t, want, oldest.Status)
	require.Equal(t, []int64{remaining, held}, []int64{oldest.Remaining, oldest.Held})
}

func TestLedger_RevokeGrant(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("TakesWhatIsLeft", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		id := *b.grant(t, creditledger.GrantParams{Amount: 10}).GrantID
		_, err := b.debit(t, 3)
		require.NoError(t, err)
		x, err := b.revoke(t, id)
		require.NoError(t, err)
		require.Equal(t, creditledger.TypeRevocation, x.Type)
		require.Equal(t, int64(-7), x.Amount)
		require.Equal(t, &id, x.GrantID)
		require.Equal(t, []creditledger.Burn{{GrantID: id, Amount: 7}}, x.Burned)
		require.Equal(t, b.caller, x.Actor)
		b.requireGrant(t, creditledger.GrantRevoked, 0, 0)
		b.requireBalance(t, 0, 0)
		_, err = b.revoke(t, id)
		require.ErrorIs(t, err, creditledger.ErrGrantNotActive)
	})

	t.Run("LeavesWhatIsHeldUntilItIsLetGo", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		id := *b.grant(t, creditledger.GrantParams{Amount: 10}).GrantID
		captured, voided := b.place(t, 2), b.place(t, 3)
		x, err := b.revoke(t, id)
		require.NoError(t, err)
		require.Equal(t, int64(-5), x.Amount)
		b.requireGrant(t, creditledger.GrantRevoked, 5, 5)
		_, err = b.capture(t, captured.ID, nil, true)
		require.NoError(t, err)
		require.NoError(t, b.void(t, voided.ID))
		b.requireBalance(t, 0, 0)
		history := b.history(t)
		require.Equal(t, creditledger.TypeRevocation, history[3].Type)
		require.Equal(t, creditledger.Actor{Type: creditledger.ActorSystem}, history[3].Actor)
	})

	t.Run("NothingToRevoke", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		spent := *b.grant(t, creditledger.GrantParams{Amount: 3}).GrantID
		_, err := b.debit(t, 3)
		require.NoError(t, err)
		expired := *b.grant(t, creditledger.GrantParams{Amount: 3, ExpiresAt: in(time.Minute)}).GrantID
		held := *b.grant(t, creditledger.GrantParams{Amount: 3, Priority: 1}).GrantID
		h := b.place(t, 6)
		b.clock.Advance(time.Minute)
		for _, id := range []uuid.UUID{spent, expired, held} {
			_, err = b.revoke(t, id)
			require.ErrorIs(t, err, creditledger.ErrGrantNotActive)
		}
		_, err = b.revoke(t, uuid.New())
		require.ErrorIs(t, err, creditledger.ErrGrantNotFound)
		require.NoError(t, b.void(t, h.ID))
		b.requireBalance(t, 3, 0)
	})
}

func TestLedger_Reverse(t *testing.T) {
	t.Parallel()
	b := setup(t)

	t.Run("InPartsAndNotMore", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		first := *b.grant(t, creditledger.GrantParams{Amount: 5}).GrantID
		second := *b.grant(t, creditledger.GrantParams{Amount: 10}).GrantID
		x, err := b.debit(t, 8)
		require.NoError(t, err)
		_, err = b.reverse(t, x.ID, ptr(int64(9)))
		require.ErrorIs(t, err, creditledger.ErrReversalExceedsOriginal)
		r, err := b.ledger.Reverse(t.Context(), b.request(), x.ID, creditledger.ReversalParams{Amount: ptr(int64(4)), Description: ptr("one was broken")})
		require.NoError(t, err)
		back := r.Transaction
		require.Equal(t, ptr("one was broken"), back.Note.Description)
		require.Equal(t, creditledger.TypeReversal, back.Type)
		require.Equal(t, &x.ID, back.ReversesID)
		require.Equal(t, []creditledger.Burn{{GrantID: second, Amount: -3}, {GrantID: first, Amount: -1}}, back.Burned, "last burned, first given back")
		_, err = b.reverse(t, x.ID, ptr(int64(5)))
		require.ErrorIs(t, err, creditledger.ErrReversalExceedsOriginal)
		_, err = b.reverse(t, x.ID, nil)
		require.NoError(t, err)
		b.requireBalance(t, 15, 0)
		for _, amount := range []*int64{nil, ptr(int64(1))} {
			_, err = b.reverse(t, x.ID, amount)
			require.ErrorIs(t, err, creditledger.ErrAlreadyReversed)
		}
	})

	t.Run("OfAGrantTakesWhatIsLeft", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		x := b.grant(t, creditledger.GrantParams{Amount: 10})
		b.grant(t, creditledger.GrantParams{Amount: 100})
		_, err := b.debit(t, 4)
		require.NoError(t, err)
		h := b.place(t, 1)
		_, err = b.reverse(t, x.ID, nil)
		requireShortfall(t, err, 10, 5)
		back, err := b.reverse(t, x.ID, ptr(int64(5)))
		require.NoError(t, err)
		require.Equal(t, int64(-5), back.Amount)
		require.NoError(t, b.void(t, h.ID))
		b.requireBalance(t, 101, 0)
	})

	t.Run("ToAGrantThatHasExpired", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10, ExpiresAt: in(time.Minute)})
		x, err := b.debit(t, 6)
		require.NoError(t, err)
		b.clock.Advance(time.Hour)
		back, err := b.reverse(t, x.ID, nil)
		require.NoError(t, err)
		require.Equal(t, int64(6), back.Amount)
		b.requireBalance(t, 0, 0)
		history := b.history(t)
		require.Equal(t, creditledger.TypeExpiry, history[4].Type)
		require.Equal(t, int64(-6), history[4].Amount)
		b.requireGrant(t, creditledger.GrantExpired, 0, 0)
	})

	t.Run("ToAGrantThatWasRevoked", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		grant := b.grant(t, creditledger.GrantParams{Amount: 10})
		x, err := b.debit(t, 6)
		require.NoError(t, err)
		_, err = b.revoke(t, *grant.GrantID)
		require.NoError(t, err)
		_, err = b.reverse(t, x.ID, nil)
		require.NoError(t, err)
		b.requireBalance(t, 0, 0)
		history := b.history(t)
		require.Equal(t, creditledger.TypeRevocation, history[4].Type)
		require.Equal(t, int64(-6), history[4].Amount)
		b.requireGrant(t, creditledger.GrantRevoked, 0, 0)
	})

	t.Run("PastTheLimit", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		b.grant(t, creditledger.GrantParams{Amount: 10})
		x, err := b.debit(t, 10)
		require.NoError(t, err)
		b.grant(t, creditledger.GrantParams{Amount: creditledger.MaxBalance})
		_, err = b.reverse(t, x.ID, nil)
		require.ErrorIs(t, err, creditledger.ErrBalanceLimitExceeded)
		b.requireBalance(t, creditledger.MaxBalance, 0)
	})

	t.Run("OnlyDebitsCapturesAndGrants", func(t *testing.T) {
		t.Parallel()
		b := b.fork(t)
		other := b.openAccount(t, uuid.New())
		b.grant(t, creditledger.GrantParams{Amount: 10, ExpiresAt: in(time.Minute)})
		grant := b.grant(t, creditledger.GrantParams{Amount: 10, Priority: 1})
		x, err := b.debit(t, 2)
		require.NoError(t, err)
		_, err = b.reverse(t, x.ID, nil)
		require.NoError(t, err)
		_, err = b.ledger.Transfer(t.Context(), b.request(), creditledger.TransferParams{FromUserID: b.userID, ToUserID: other, Amount: 3})
		require.NoError(t, err)
		b.clock.Advance(time.Minute)
		_, err = b.revoke(t, *grant.GrantID)
		require.NoError(t, err)
		kinds := 0
		for _, x := range b.history(t) {
			switch x.Type {
			case creditledger.TypeReversal, creditledger.TypeTransferOut, creditledger.TypeExpiry, creditledger.TypeRevocation:
				kinds++
				_, err = b.reverse(t, x.ID, nil)
				require.ErrorIs(t, err, creditledger.ErrNotReversible, x.Type)
			default:
			}
		}
		require.Equal(t, 4, kinds)
		_, err = b.reverse(t, uuid.New(), nil)
		require.ErrorIs(t, err, creditledger.ErrTransactionNotFound)
	})
}
