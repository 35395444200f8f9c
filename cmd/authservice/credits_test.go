package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

func TestCredits_GrantDebitHistory(t *testing.T) {
	t.Parallel()
	s := startService(t, "AUTH_CREDITS_SCALE=3")
	backend := s.backend(t, authclient.ScopeCreditsGrant, authclient.ScopeCreditsRead, authclient.ScopeCreditsDebit)
	user := s.user(t)

	// A grant with everything that a grant can have.
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	priority, reference, description := 10, "invoice-77", "Starter pack"
	metadata := authclient.Metadata(`{"z": 1, "a": 12345678901234567890}`)
	granted, err := backend.GrantUserCreditsWithResponse(t.Context(), user.id(), &authclient.GrantUserCreditsParams{IdempotencyKey: "g"},
		authclient.GrantRequest{Amount: 1000, ExpiresAt: &expires, Priority: &priority, Reference: &reference, Description: &description, Metadata: &metadata})
	require.NoError(t, err)
	require.NotNil(t, granted.JSON201, string(granted.Body))
	grant := *granted.JSON201
	require.Equal(t, authclient.TransactionTypeGrant, grant.Type)
	require.EqualValues(t, 1000, grant.Amount)
	require.Equal(t, reference, grant.Reference.MustGet())
	require.Equal(t, description, grant.Description.MustGet())
	require.JSONEq(t, string(metadata), string(grant.Metadata))
	require.Equal(t, authclient.ActorTypeAPIKey, grant.Actor.Type)

	// A debit by the user and one by the backend.
	order := "order-1"
	mine := user.debit(t, "d", authclient.DebitRequest{Amount: 250, Reference: &order})
	require.NotNil(t, mine.JSON201, string(mine.Body))
	require.Equal(t, []authclient.Burn{{GrantID: grant.GrantID.MustGet(), Amount: 250}}, mine.JSON201.Burned)
	require.Equal(t, authclient.ActorTypeUser, mine.JSON201.Actor.Type)
	require.Equal(t, user.id(), mine.JSON201.Actor.ID.MustGet())
	partial := true
	theirs, err := backend.DebitUserCreditsWithResponse(t.Context(), user.id(), &authclient.DebitUserCreditsParams{IdempotencyKey: "d"},
		authclient.DebitRequest{Amount: 5000, AllowPartial: &partial})
	require.NoError(t, err)
	require.EqualValues(t, -750, theirs.JSON201.Amount)

	refused, err := backend.DebitUserCreditsWithResponse(t.Context(), user.id(), &authclient.DebitUserCreditsParams{IdempotencyKey: "d2"},
		authclient.DebitRequest{Amount: 7, AllowPartial: &partial})
	require.NoError(t, err)
	require.NotNil(t, refused.ApplicationProblemJSON402, string(refused.Body))
	require.EqualValues(t, 7, refused.ApplicationProblemJSON402.Shortfall)

	// Both see the same.
	balance := user.balance(t)
	require.Zero(t, balance.Available)
	require.Equal(t, 3, balance.Scale)
	require.EqualValues(t, 3, balance.Sequence)
	seen, err := backend.GetUserCreditsWithResponse(t.Context(), user.id())
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(balance, *seen.JSON200, nullables))
	require.Empty(t, cmp.Diff([]authclient.Transaction{*theirs.JSON201, *mine.JSON201, grant}, user.history(t), nullables))

	// Filters.
	byReference, err := backend.ListUserCreditTransactionsWithResponse(t.Context(), user.id(), &authclient.ListUserCreditTransactionsParams{Reference: &order})
	require.NoError(t, err)
	require.Len(t, byReference.JSON200.Items, 1)
	debits := authclient.TransactionTypeDebit
	byType, err := user.ListMyCreditTransactionsWithResponse(t.Context(), &authclient.ListMyCreditTransactionsParams{Type: &debits, From: &mine.JSON201.CreatedAt, To: &theirs.JSON201.CreatedAt})
	require.NoError(t, err)
	require.Len(t, byType.JSON200.Items, 1)

	grants, err := backend.ListUserCreditGrantsWithResponse(t.Context(), user.id(), nil)
	require.NoError(t, err)
	require.Len(t, grants.JSON200.Items, 1)
	require.Equal(t, authclient.GrantStatusDepleted, grants.JSON200.Items[0].Status)
	require.Equal(t, grant.ID, grants.JSON200.Items[0].TransactionID)
	require.WithinDuration(t, expires, grants.JSON200.Items[0].ExpiresAt.MustGet(), 0)
}

func TestCredits_ParallelDebits(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	s.admin(t).grant(t, user.id(), 100)

	statuses := make([]int, 64)
	parallel(64, func(i int) {
		statuses[i] = user.debit(t, fmt.Sprint(i), authclient.DebitRequest{Amount: 10}).StatusCode()
	})
	counts := map[int]int{}
	for _, status := range statuses {
		counts[status]++
	}
	require.Equal(t, map[int]int{201: 10, 402: 54}, counts)
	require.Zero(t, user.balance(t).Balance)
	requireConsistent(t, user.history(t), 11)
}

func TestCredits_SameKeyInParallel(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	s.admin(t).grant(t, user.id(), 1000)

	for name, amount := range map[string]int64{"Applied": 10, "Refused": 10_000} {
		t.Run(name, func(t *testing.T) {
			answers, replays := make([]string, 50), make([]bool, 50)
			parallel(50, func(i int) {
				r := user.debit(t, name, authclient.DebitRequest{Amount: amount})
				answers[i], replays[i] = fmt.Sprintf("%d %s", r.StatusCode(), r.Body), r.HTTPResponse.Header.Get("Idempotent-Replayed") == "true"
			})
			first := 0
			for i := range answers {
				require.Equal(t, answers[0], answers[i])
				if !replays[i] {
					first++
				}
			}
			require.Equal(t, 1, first)
		})
	}
	require.EqualValues(t, 990, user.balance(t).Balance)
	requireConsistent(t, user.history(t), 2)
}

func TestCredits_Idempotency(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, user := s.admin(t), s.user(t)
	path := "/v1/me/credits/debits"

	t.Run("RefusalIsKeptWhenTheStateHasChanged", func(t *testing.T) {
		first, body := user.send(t, "POST", path, `{"amount":5}`, "Idempotency-Key", "early")
		require.Equal(t, 402, first.StatusCode)
		admin.grant(t, user.id(), 100)
		// White space and order do not make another request.
		again, replayed := user.send(t, "POST", path, "{ \"amount\" : 5 }\n", "Idempotency-Key", "early")
		require.Equal(t, 402, again.StatusCode)
		require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
		require.Equal(t, string(body), string(replayed))
		require.NotEqual(t, first.Header.Get("X-Request-ID"), again.Header.Get("X-Request-ID"))
		require.EqualValues(t, 100, user.balance(t).Balance)
	})
	t.Run("UnknownUserIsKept", func(t *testing.T) {
		path := "/v1/users/" + uuid.NewString() + "/credits/grants"
		first, body := admin.send(t, "POST", path, `{"amount":5}`, "Idempotency-Key", "nobody")
		again, replayed := admin.send(t, "POST", path, `{"amount":5}`, "Idempotency-Key", "nobody")
		require.Equal(t, []int{404, 404}, []int{first.StatusCode, again.StatusCode})
		require.Equal(t, string(body), string(replayed))
	})
	t.Run("AnotherRequestUnderTheKey", func(t *testing.T) {
		for _, other := range []struct{ path, body string }{
			{path, `{"amount":6}`},
			{path, `{"amount":5,"reference":"x"}`},
			{"/v1/users/" + user.id().String() + "/credits/debits", `{"amount":5}`},
		} {
			caller := admin
			if other.path == path {
				caller = user
			} else {
				_, _ = caller.send(t, "POST", other.path, `{"amount":1}`, "Idempotency-Key", "early")
			}
			response, body := caller.send(t, "POST", other.path, other.body, "Idempotency-Key", "early")
			require.Equal(t, 422, response.StatusCode, string(body))
			require.Equal(t, "idempotency_key_reused", problemOf(t, body).Code)
		}
	})
	t.Run("InvalidRequestIsNotKept", func(t *testing.T) {
		bad, _ := user.send(t, "POST", path, `{"amount":0}`, "Idempotency-Key", "again")
		good, _ := user.send(t, "POST", path, `{"amount":1}`, "Idempotency-Key", "again")
		require.Equal(t, []int{422, 201}, []int{bad.StatusCode, good.StatusCode})
	})
	t.Run("KeysBelongToTheCaller", func(t *testing.T) {
		other := s.user(t)
		admin.grant(t, other.id(), 10)
		require.Equal(t, 201, other.debit(t, "again", authclient.DebitRequest{Amount: 1}).StatusCode())
	})
	t.Run("BalanceLimit", func(t *testing.T) {
		path := "/v1/users/" + user.id().String() + "/credits/grants"
		response, body := admin.send(t, "POST", path, `{"amount":9007199254740991}`, "Idempotency-Key", "much")
		require.Equal(t, 409, response.StatusCode)
		require.Equal(t, "balance_limit_exceeded", problemOf(t, body).Code)
	})
}

func TestCredits_Pages(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, user := s.admin(t), s.user(t)
	for range 5 {
		admin.grant(t, user.id(), 1)
	}
	limit := 2
	var cursor *string
	var sequences []int64
	for page := 0; ; page++ {
		r, err := admin.ListUserCreditTransactionsWithResponse(t.Context(), user.id(), &authclient.ListUserCreditTransactionsParams{Limit: &limit, Cursor: cursor})
		require.NoError(t, err)
		for _, item := range r.JSON200.Items {
			sequences = append(sequences, item.Sequence)
		}
		admin.grant(t, user.id(), 1) // must not be seen, nor move anything
		if r.JSON200.NextCursor.IsNull() {
			break
		}
		next := r.JSON200.NextCursor.MustGet()
		cursor = &next
	}
	require.Equal(t, []int64{5, 4, 3, 2, 1}, sequences)

	for _, bad := range []string{"x", "!!!!", "AAAAAAAAAAA", "dP__________", "dAAAAAAAAAAA", strings.Repeat("A", 200)} {
		for _, path := range []string{"/v1/me/credits/transactions", "/v1/users/" + user.id().String() + "/credits/grants", "/v1/users/" + user.id().String() + "/credits/transactions", "/v1/api-keys"} {
			caller := admin
			response, body := caller.send(t, http.MethodGet, path+"?cursor="+bad, "")
			require.Equal(t, 400, response.StatusCode, path+" "+bad)
			require.Equal(t, "invalid_cursor", problemOf(t, body).Code)
		}
	}
}

// requireConsistent checks a whole history, newest first.
func requireConsistent(t *testing.T, history []authclient.Transaction, n int) {
	t.Helper()
	require.Len(t, history, n)
	var balance int64
	var last time.Time
	for i := range history {
		item := history[len(history)-1-i]
		balance += item.Amount
		require.EqualValues(t, i+1, item.Sequence)
		require.Equal(t, balance, item.BalanceAfter)
		require.True(t, item.CreatedAt.After(last))
		last = item.CreatedAt
		var burned int64
		for _, b := range item.Burned {
			burned += b.Amount
		}
		if item.Amount < 0 {
			require.Equal(t, -item.Amount, burned)
		} else {
			require.Zero(t, burned)
		}
	}
}

func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
