package main

import (
	"fmt"
	"net/http"
	"slices"
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
	seen, err := backend.GetUserCreditsWithResponse(t.Context(), user.id(), nil)
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
		if item.Type == authclient.TransactionTypeGrant {
			require.Empty(t, item.Burned)
		} else {
			require.Equal(t, -item.Amount, burned)
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

// A balance can be looked back to, to the microsecond.
func TestCredits_BalanceAt(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, user := s.admin(t), s.user(t)
	admin.grant(t, user.id(), 100)
	hold := admin.hold(t, user.id(), authclient.HoldRequest{Amount: 30})
	user.debit(t, "d", authclient.DebitRequest{Amount: 10})
	admin.capture(t, hold.ID, authclient.CaptureRequest{Amount: new(int64(20))})
	at := func(moment time.Time) authclient.Balance {
		r, err := admin.GetUserCreditsWithResponse(t.Context(), user.id(), &authclient.GetUserCreditsParams{At: &moment})
		require.NoError(t, err)
		require.NotNil(t, r.JSON200, string(r.Body))
		require.True(t, r.JSON200.NextExpiry.IsNull())
		return *r.JSON200
	}
	history := user.history(t)
	capture, debit, grant := history[0].CreatedAt, history[1].CreatedAt, history[2].CreatedAt
	for _, test := range []struct {
		name          string
		moment        time.Time
		balance, held int64
	}{
		{"Before", grant.Add(-time.Microsecond), 0, 0},
		{"Granted", grant, 100, 0},
		{"BeforeTheHold", hold.CreatedAt.Add(-time.Microsecond), 100, 0},
		{"Held", hold.CreatedAt, 100, 30},
		{"BeforeTheDebit", debit.Add(-time.Microsecond), 100, 30},
		{"Debited", debit, 90, 30},
		{"BeforeTheCapture", capture.Add(-time.Microsecond), 90, 30},
		{"Captured", capture, 70, 0},
		{"InAnotherZone", debit.In(time.FixedZone("", 3600)), 90, 30},
	} {
		then := at(test.moment)
		require.Equal(t, []int64{test.balance, test.held, test.balance - test.held}, []int64{then.Balance, then.Held, then.Available}, test.name)
	}

	path := "/v1/users/" + user.id().String() + "/credits?at="
	response, body := admin.send(t, http.MethodGet, path+time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "")
	require.Equal(t, 422, response.StatusCode)
	requireProblem(t, response, body, "validation_failed", "/query/at")
	response, body = admin.send(t, http.MethodGet, "/v1/users/"+uuid.NewString()+"/credits?at=2026-01-01T00:00:00Z", "")
	require.Equal(t, 404, response.StatusCode)
	requireProblem(t, response, body, "user_not_found", "")
}

// The transactions of all users are one list, newest first, and a page is the
// same page whatever is added meanwhile.
func TestCredits_AllTransactions(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, a, b := s.admin(t), s.user(t), s.user(t)
	backend := s.backend(t, authclient.ScopeCreditsRead)
	for range 3 {
		admin.grant(t, a.id(), 10)
		admin.grant(t, b.id(), 10)
	}
	a.debit(t, "d", authclient.DebitRequest{Amount: 1, Reference: new("order-1")})
	transfer := admin.transfer(t, "t", authclient.TransferRequest{FromUserID: a.id(), ToUserID: b.id(), Amount: 5, Reference: new("order-1")}).JSON201
	list := func(p authclient.ListCreditTransactionsParams) authclient.TransactionPage {
		r, err := backend.ListCreditTransactionsWithResponse(t.Context(), &p)
		require.NoError(t, err)
		require.NotNil(t, r.JSON200, string(r.Body))
		return *r.JSON200
	}

	var ids []uuid.UUID
	var cursor *string
	for {
		page := list(authclient.ListCreditTransactionsParams{Limit: new(2), Cursor: cursor})
		for _, item := range page.Items {
			ids = append(ids, item.ID)
		}
		admin.grant(t, a.id(), 1) // must not be seen, nor move anything
		if page.NextCursor.IsNull() {
			break
		}
		cursor = new(page.NextCursor.MustGet())
	}
	require.Len(t, ids, 9)
	require.True(t, slices.IsSortedFunc(ids, func(x, y uuid.UUID) int { return strings.Compare(y.String(), x.String()) }))

	byReference := list(authclient.ListCreditTransactionsParams{Reference: new("order-1")})
	require.Len(t, byReference.Items, 3)
	byType := list(authclient.ListCreditTransactionsParams{Type: new(authclient.TransactionTypeTransferIn)})
	require.Empty(t, cmp.Diff([]authclient.Transaction{transfer.Credit}, byType.Items, nullables))
	// From a moment on, and before another.
	debit := byReference.Items[2]
	during := list(authclient.ListCreditTransactionsParams{From: &debit.CreatedAt, To: &transfer.Credit.CreatedAt})
	require.Contains(t, during.Items, debit)
	for _, item := range during.Items {
		require.False(t, item.CreatedAt.Before(debit.CreatedAt))
		require.True(t, item.CreatedAt.Before(transfer.Credit.CreatedAt))
	}
}

// A description that says nothing is none.
func TestCredits_EmptyDescription(t *testing.T) {
	t.Parallel()
	st := newStage(t, startService(t), 100)
	for _, m := range []move{
		{st.credits + "/grants", `{"amount":1,"description":""}`},
		{st.credits + "/debits", `{"amount":1,"description":"","metadata":{}}`},
		{st.credits + "/holds", `{"amount":1,"description":""}`},
		{"/v1/credits/transactions/" + st.must(st.credits+"/debits", `{"amount":1}`) + "/reversals", `{"description":""}`},
	} {
		_, body := st.move(t, m.path, m)
		require.Contains(t, string(body), `"description":null`)
		_, replayed := st.move(t, m.path, m)
		require.Equal(t, string(body), string(replayed))
	}
}
