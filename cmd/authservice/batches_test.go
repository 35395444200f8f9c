package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

func TestBatches_Independent(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, a, b := s.admin(t), s.user(t), s.user(t)
	metadata := authclient.Metadata(`{"n":12345678901234567890}`)
	past := time.Now().Add(-time.Hour)
	results := admin.batch(t, authclient.BatchModeIndependent,
		authclient.BatchGrant{UserID: a.id(), Amount: 1000, Priority: new(7), Reference: new("invoice-1"), Description: new("Pack"), Metadata: &metadata}.Operation(),
		authclient.BatchDebit{UserID: a.id(), Amount: 5000}.Operation(),
		authclient.BatchDebit{UserID: a.id(), Amount: 250, Reference: new("order-1")}.Operation(),
		authclient.BatchTransfer{FromUserID: a.id(), ToUserID: b.id(), Amount: 50, Reference: new("gift")}.Operation(),
		authclient.BatchDebit{UserID: b.id(), Amount: 80, AllowPartial: new(true)}.Operation(),
		authclient.BatchTransfer{FromUserID: a.id(), ToUserID: a.id(), Amount: 1}.Operation(),
		authclient.BatchDebit{UserID: uuid.New(), Amount: 1}.Operation(),
		authclient.BatchGrant{UserID: a.id(), Amount: 1, ExpiresAt: &past}.Operation(),
	)
	for i, result := range results {
		members := 0
		for _, has := range []bool{result.Transaction != nil, result.Transfer != nil, result.Problem != nil} {
			if has {
				members++
			}
		}
		require.Equal(t, 1, members, i)
	}
	grant := results[0].Transaction
	require.Equal(t, authclient.TransactionTypeGrant, grant.Type)
	require.JSONEq(t, string(metadata), string(grant.Metadata))
	require.Equal(t, "Pack", grant.Description.MustGet())
	short := results[1].Problem
	require.Equal(t, []any{402, "insufficient_credits"}, []any{short.Status, short.Code})
	require.Equal(t, []int64{5000, 1000, 4000}, []int64{*short.Required, *short.Available, *short.Shortfall})
	require.EqualValues(t, -250, results[2].Transaction.Amount)
	require.Equal(t, results[3].Transfer.Debit.TransferID, results[3].Transfer.Credit.TransferID)
	require.EqualValues(t, -50, results[4].Transaction.Amount)
	require.Equal(t, []any{422, "same_account"}, []any{results[5].Problem.Status, results[5].Problem.Code})
	require.Equal(t, []any{404, "user_not_found"}, []any{results[6].Problem.Status, results[6].Problem.Code})
	wrong := results[7].Problem
	require.Equal(t, []any{422, "validation_failed", "/operations/7/expires_at"}, []any{wrong.Status, wrong.Code, wrong.Errors[0].Pointer})
	require.Regexp(t, `(?m)^authservice_http_refusals_total\{code="same_account"\} 1`, s.scrape(t))

	// What it did is what the lists show.
	require.Empty(t, cmp.Diff([]authclient.Transaction{results[3].Transfer.Debit, *results[2].Transaction, *grant}, a.history(t), nullables))
	require.Empty(t, cmp.Diff([]authclient.Transaction{*results[4].Transaction, results[3].Transfer.Credit}, b.history(t), nullables))
	grants, err := admin.ListUserCreditGrantsWithResponse(t.Context(), a.id(), nil)
	require.NoError(t, err)
	require.Equal(t, 7, grants.JSON200.Items[0].Priority)
}

// Of an atomic batch that is refused nothing is done, whatever came before.
func TestBatches_Atomic(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, a, b := s.admin(t), s.user(t), s.user(t)
	admin.grant(t, a.id(), 100)
	ask := func(operations ...authclient.BatchOperation) *authclient.ApplyCreditBatchResponse {
		r, err := admin.ApplyCreditBatchWithResponse(t.Context(), &authclient.ApplyCreditBatchParams{IdempotencyKey: uuid.NewString()},
			authclient.BatchRequest{Mode: authclient.BatchModeAtomic, Operations: operations})
		require.NoError(t, err)
		return r
	}
	grant := authclient.BatchGrant{UserID: b.id(), Amount: 5}.Operation()
	move := authclient.BatchTransfer{FromUserID: a.id(), ToUserID: b.id(), Amount: 60}.Operation()
	past := time.Now().Add(-time.Hour)
	for _, test := range []struct {
		name    string
		refused authclient.BatchOperation
		status  int
		code    string
		pointer string
	}{
		{"TooLittle", authclient.BatchDebit{UserID: a.id(), Amount: 41}.Operation(), 402, "insufficient_credits", "/operations/2"},
		{"Unknown", authclient.BatchDebit{UserID: uuid.New(), Amount: 41}.Operation(), 404, "user_not_found", "/operations/2"},
		{"Limit", authclient.BatchGrant{UserID: b.id(), Amount: 9_007_199_254_740_991}.Operation(), 409, "balance_limit_exceeded", "/operations/2"},
		{"SameAccount", authclient.BatchTransfer{FromUserID: a.id(), ToUserID: a.id(), Amount: 1}.Operation(), 422, "same_account", "/operations/2"},
		{"Past", authclient.BatchGrant{UserID: b.id(), Amount: 1, ExpiresAt: &past}.Operation(), 422, "validation_failed", "/operations/2/expires_at"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := ask(grant, move, test.refused, grant)
			require.Equal(t, test.status, r.StatusCode(), string(r.Body))
			p := problemOf(t, r.Body)
			require.Equal(t, []string{test.code, test.pointer}, []string{p.Code, p.Errors[0].Pointer})
			if test.status == 402 {
				require.Equal(t, []int64{41, 40, 1}, []int64{*p.Required, *p.Available, *p.Shortfall})
				require.Equal(t, test.pointer, r.ApplicationProblemJSON402.Errors[0].Pointer)
			}
			require.Equal(t, []int64{100, 0}, []int64{a.balance(t).Balance, b.balance(t).Balance})
		})
	}
	done := ask(grant, move, authclient.BatchDebit{UserID: a.id(), Amount: 40}.Operation(), grant)
	require.NotNil(t, done.JSON200, string(done.Body))
	require.Equal(t, []int64{0, 70}, []int64{a.balance(t).Balance, b.balance(t).Balance})
	requireConsistent(t, a.history(t), 3)
	requireConsistent(t, b.history(t), 3)
}

// The largest batch, in both modes, twice at once under one key.
func TestBatches_Thousand(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin := s.admin(t)
	users := []*caller{s.user(t), s.user(t), s.user(t)}
	var operations []authclient.BatchOperation
	for i := range 1000 {
		user, next := users[i%3].id(), users[(i+1)%3].id()
		switch i % 5 {
		case 0, 1:
			operations = append(operations, authclient.BatchGrant{UserID: user, Amount: 100, Description: new(strings.Repeat("x", 500))}.Operation())
		case 2, 3:
			operations = append(operations, authclient.BatchDebit{UserID: user, Amount: 50, AllowPartial: new(true)}.Operation())
		default:
			operations = append(operations, authclient.BatchTransfer{FromUserID: user, ToUserID: next, Amount: 10}.Operation())
		}
	}
	for _, mode := range []authclient.BatchMode{authclient.BatchModeAtomic, authclient.BatchModeIndependent} {
		if mode == authclient.BatchModeAtomic { // so that nothing is refused
			for _, user := range users {
				admin.grant(t, user.id(), 10_000)
			}
		}
		bodies := make([]string, 4)
		parallel(len(bodies), func(i int) {
			r, err := admin.ApplyCreditBatchWithResponse(t.Context(), &authclient.ApplyCreditBatchParams{IdempotencyKey: string(mode)}, authclient.BatchRequest{Mode: mode, Operations: operations})
			if err != nil {
				t.Error(err)
				return
			}
			bodies[i] = fmt.Sprint(r.StatusCode(), " ", string(r.Body))
		})
		require.Regexp(t, "^200 ", bodies[0][:min(len(bodies[0]), 1000)])
		for _, body := range bodies {
			require.Equal(t, sha256.Sum256([]byte(bodies[0])), sha256.Sum256([]byte(body)))
		}
	}
	var sum int64
	transactions := 0
	for _, user := range users {
		balance := user.balance(t)
		sum += balance.Balance
		transactions += int(balance.Sequence)
		requireConsistent(t, user.history(t), int(balance.Sequence))
	}
	require.EqualValues(t, 3*10_000+2*(400*100-400*50), sum)
	require.Equal(t, 3+2*(1000+200), transactions)
}

// What must be refused, how, and where the answer points.
func TestBatches_Hostile(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin := s.admin(t)
	id := admin.id().String()
	grant := `{"type":"grant","user_id":"` + id + `","amount":1}`
	for _, test := range []struct{ name, body, pointer string }{
		{"NoMode", `{"operations":[` + grant + `]}`, "/mode"},
		{"OtherMode", `{"mode":"maybe","operations":[` + grant + `]}`, "/mode"},
		{"NoOperations", `{"mode":"atomic"}`, "/operations"},
		{"Empty", `{"mode":"atomic","operations":[]}`, "/operations"},
		{"TooMany", `{"mode":"atomic","operations":[` + strings.TrimSuffix(strings.Repeat(grant+",", 1001), ",") + `]}`, "/operations"},
		{"NoList", `{"mode":"atomic","operations":` + grant + `}`, "/operations"},
		{"NoObject", `{"mode":"atomic","operations":[` + grant + `,5]}`, "/operations/1"},
		{"NoType", `{"mode":"atomic","operations":[` + grant + `,{"user_id":"` + id + `","amount":1}]}`, "/operations/1/type"},
		{"OtherType", `{"mode":"atomic","operations":[{"type":"theft","user_id":"` + id + `","amount":1}]}`, "/operations/0/type"},
		{"TypeOfAnotherKind", `{"mode":"atomic","operations":[{"type":5,"user_id":"` + id + `","amount":1}]}`, "/operations/0/type"},
		{"NoUser", `{"mode":"atomic","operations":[{"type":"grant","amount":1}]}`, "/operations/0/user_id"},
		{"BadUser", `{"mode":"atomic","operations":[{"type":"grant","user_id":"me","amount":1}]}`, "/operations/0/user_id"},
		{"Zero", `{"mode":"atomic","operations":[` + grant + `,{"type":"debit","user_id":"` + id + `","amount":0}]}`, "/operations/1/amount"},
		{"Fraction", `{"mode":"atomic","operations":[{"type":"debit","user_id":"` + id + `","amount":1.5}]}`, "/operations/0/amount"},
		{"PointZero", `{"mode":"atomic","operations":[` + grant + `,{"type":"debit","user_id":"` + id + `","amount":5.0}]}`, "/operations/1/amount"},
		{"Exponent", `{"mode":"atomic","operations":[{"type":"debit","user_id":"` + id + `","amount":1e3}]}`, "/operations/0/amount"},
		{"TwoToThe53", `{"mode":"atomic","operations":[{"type":"debit","user_id":"` + id + `","amount":9007199254740992}]}`, "/operations/0/amount"},
		{"MemberOfAnotherType", `{"mode":"atomic","operations":[{"type":"debit","user_id":"` + id + `","amount":1,"priority":1}]}`, "/operations/0/priority"},
		{"OtherCase", `{"mode":"atomic","operations":[{"type":"debit","user_id":"` + id + `","amount":1,"AMOUNT":2}]}`, "/operations/0/AMOUNT"},
		{"TransferOfOne", `{"mode":"atomic","operations":[{"type":"transfer","user_id":"` + id + `","amount":1}]}`, "/operations/0/user_id"},
		{"Unknown", `{"mode":"atomic","dry_run":true,"operations":[` + grant + `]}`, "/dry_run"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			response, body := admin.send(t, http.MethodPost, "/v1/credits/batches", test.body, "Idempotency-Key", uuid.NewString())
			require.Equal(t, 422, response.StatusCode, string(body))
			p := problemOf(t, body)
			require.Equal(t, "validation_failed", p.Code)
			var pointers []string
			for _, field := range p.Errors {
				pointers = append(pointers, field.Pointer)
			}
			require.Contains(t, pointers, test.pointer, string(body))
		})
	}
	require.Zero(t, admin.balance(t).Sequence)
}

// What is no JSON is found by the client, not by the service.
func TestBatches_MetadataThatIsNoJSON(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin := s.admin(t)
	metadata := authclient.Metadata("{")
	_, err := admin.ApplyCreditBatchWithResponse(t.Context(), &authclient.ApplyCreditBatchParams{IdempotencyKey: "k"}, authclient.BatchRequest{
		Mode:       authclient.BatchModeAtomic,
		Operations: []authclient.BatchOperation{authclient.BatchGrant{UserID: admin.id(), Amount: 1, Metadata: &metadata}.Operation()},
	})
	require.Error(t, err)
}
