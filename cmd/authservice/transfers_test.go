package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

func (c *caller) transfer(t *testing.T, key string, request authclient.TransferRequest) *authclient.TransferCreditsResponse {
	t.Helper()
	r, err := c.TransferCreditsWithResponse(t.Context(), &authclient.TransferCreditsParams{IdempotencyKey: key}, request)
	require.NoError(t, err)
	return r
}

func (c *caller) reverse(t *testing.T, id uuid.UUID, request authclient.ReversalRequest) *authclient.ReverseCreditTransactionResponse {
	t.Helper()
	r, err := c.ReverseCreditTransactionWithResponse(t.Context(), id, &authclient.ReverseCreditTransactionParams{IdempotencyKey: uuid.NewString()}, request)
	require.NoError(t, err)
	return r
}

// Credits keep their terms on the way, and a list of grants that one transfer
// made can be read page by page.
func TestTransfers(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, from, to := s.admin(t), s.user(t), s.user(t)
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	for i := range 3 {
		_, err := admin.GrantUserCreditsWithResponse(t.Context(), from.id(), &authclient.GrantUserCreditsParams{IdempotencyKey: fmt.Sprint(i)},
			authclient.GrantRequest{Amount: 100, Priority: new(i), ExpiresAt: &expires})
		require.NoError(t, err)
	}
	r := s.backend(t, authclient.ScopeCreditsTransfer).transfer(t, "gift", authclient.TransferRequest{
		FromUserID: from.id(), ToUserID: to.id(), Amount: 250, Reference: new("gift-9"), Description: new("Happy birthday"),
	})
	require.NotNil(t, r.JSON201, string(r.Body))
	debit, credit := r.JSON201.Debit, r.JSON201.Credit
	require.Equal(t, []int64{-250, 250}, []int64{debit.Amount, credit.Amount})
	require.Equal(t, authclient.TransactionTypeTransferOut, debit.Type)
	require.Equal(t, authclient.TransactionTypeTransferIn, credit.Type)
	require.Equal(t, debit.TransferID.MustGet(), credit.TransferID.MustGet())
	require.Equal(t, "gift-9", credit.Reference.MustGet())
	require.Equal(t, "Happy birthday", credit.Description.MustGet())
	require.Len(t, debit.Burned, 3)
	requireConsistent(t, from.history(t), 4)
	requireConsistent(t, to.history(t), 1)
	require.EqualValues(t, 250, to.balance(t).NextExpiry.MustGet().Amount)

	var amounts []int64
	var cursor *string
	for range 3 {
		page, err := admin.ListUserCreditGrantsWithResponse(t.Context(), to.id(), &authclient.ListUserCreditGrantsParams{Limit: new(1), Cursor: cursor})
		require.NoError(t, err)
		require.Len(t, page.JSON200.Items, 1)
		grant := page.JSON200.Items[0]
		require.Equal(t, credit.ID, grant.TransactionID)
		require.Equal(t, expires, grant.ExpiresAt.MustGet().UTC())
		amounts = append(amounts, grant.Amount)
		if cursor = nil; !page.JSON200.NextCursor.IsNull() {
			cursor = new(page.JSON200.NextCursor.MustGet())
		}
	}
	require.Nil(t, cursor)
	require.ElementsMatch(t, []int64{100, 100, 50}, amounts)

	// A transfer is not reversed, but sent back.
	require.Equal(t, "not_reversible", admin.reverse(t, credit.ID, authclient.ReversalRequest{}).ApplicationProblemJSON422.Code)
	require.Equal(t, 201, admin.transfer(t, "back", authclient.TransferRequest{FromUserID: to.id(), ToUserID: from.id(), Amount: 250}).StatusCode())
	require.EqualValues(t, 300, from.balance(t).Balance)
}

// In both directions at once, nothing locks up and nothing is lost.
func TestTransfers_BothWays(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, a, b := s.admin(t), s.user(t), s.user(t)
	admin.grant(t, a.id(), 50)
	admin.grant(t, b.id(), 50)
	moved := make([]int64, 64)
	parallel(64, func(i int) {
		request := authclient.TransferRequest{FromUserID: a.id(), ToUserID: b.id(), Amount: int64(5 + i%7)}
		if i%2 == 1 {
			request.FromUserID, request.ToUserID = b.id(), a.id()
		}
		r := admin.transfer(t, fmt.Sprint(i), request)
		switch r.StatusCode() {
		case 201:
			moved[i] = request.Amount
		case 402:
		default:
			t.Errorf("%d: %s", r.StatusCode(), r.Body)
		}
	})
	want, n := int64(50), 1
	for i, amount := range moved {
		if amount > 0 {
			n++
		}
		if i%2 == 1 {
			want += amount
		} else {
			want -= amount
		}
	}
	require.Equal(t, want, a.balance(t).Balance)
	require.Equal(t, 100-want, b.balance(t).Balance)
	requireConsistent(t, a.history(t), n)
	requireConsistent(t, b.history(t), n)
}

// What is reversed goes back to where it came from.
func TestReversals(t *testing.T) {
	t.Parallel()
	s := startService(t)
	backend, user := s.backend(t, authclient.ScopeCreditsGrant, authclient.ScopeCreditsRead), s.user(t)
	first, second := backend.grant(t, user.id(), 100), backend.grant(t, user.id(), 100)
	debit := user.debit(t, "d", authclient.DebitRequest{Amount: 150}).JSON201

	part := backend.reverse(t, debit.ID, authclient.ReversalRequest{Amount: new(int64(70)), Description: new("Half of it")}).JSON201
	require.Equal(t, authclient.TransactionTypeReversal, part.Type)
	require.EqualValues(t, 70, part.Amount)
	require.Equal(t, debit.ID, part.ReversesID.MustGet())
	require.Equal(t, "Half of it", part.Description.MustGet())
	require.Equal(t, []authclient.Burn{
		{GrantID: second.GrantID.MustGet(), Amount: -50}, {GrantID: first.GrantID.MustGet(), Amount: -20},
	}, part.Burned)
	rest := backend.reverse(t, debit.ID, authclient.ReversalRequest{}).JSON201
	require.EqualValues(t, 80, rest.Amount)
	require.Equal(t, "already_reversed", backend.reverse(t, debit.ID, authclient.ReversalRequest{}).ApplicationProblemJSON409.Code)

	// A grant gives back what is left of it.
	undone := backend.reverse(t, first.ID, authclient.ReversalRequest{Amount: new(int64(60))}).JSON201
	require.EqualValues(t, -60, undone.Amount)
	revoked, err := backend.RevokeCreditGrantWithResponse(t.Context(), first.GrantID.MustGet(), &authclient.RevokeCreditGrantParams{IdempotencyKey: "r"})
	require.NoError(t, err)
	require.EqualValues(t, -40, revoked.JSON201.Amount)
	require.Equal(t, authclient.TransactionTypeRevocation, revoked.JSON201.Type)
	require.Equal(t, first.GrantID, revoked.JSON201.GrantID)
	grants, err := backend.ListUserCreditGrantsWithResponse(t.Context(), user.id(), nil)
	require.NoError(t, err)
	require.Equal(t, authclient.GrantStatusRevoked, grants.JSON200.Items[1].Status)
	require.EqualValues(t, 100, user.balance(t).Balance)
	requireConsistent(t, user.history(t), 7)
}
