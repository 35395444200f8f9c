package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

// move is a request that moves credits.
type move struct{ path, body string }

func (c *caller) move(t *testing.T, key string, m move) (*http.Response, []byte) {
	t.Helper()
	return c.send(t, http.MethodPost, m.path, m.body, "Idempotency-Key", key)
}

// stage is an administrator who moves credits of their own.
type stage struct {
	*caller
	t       *testing.T
	user    string // the administrator's id
	credits string // the path of the credits
	grant   string // the id of the grant that they are from
}

func newStage(t *testing.T, s *service, amount int64) stage {
	t.Helper()
	st := stage{caller: s.admin(t), t: t}
	st.user = st.id().String()
	st.credits = "/v1/users/" + st.user + "/credits"
	st.grant = st.caller.grant(t, st.id(), amount).GrantID.MustGet().String()
	return st
}

// must makes a move that has to be applied, and returns the id of what it made.
func (st stage) must(path, body string, args ...any) string {
	st.t.Helper()
	response, answer := st.move(st.t, uuid.NewString(), move{path, fmt.Sprintf(body, args...)})
	require.Less(st.t, response.StatusCode, 300, string(answer))
	var made struct {
		ID string `json:"id"`
	}
	require.NoError(st.t, json.Unmarshal(answer, &made))
	return made.ID
}

func (st stage) balance() authclient.Balance { return st.caller.balance(st.t) }

// another is somebody else, with credits.
func (st stage) another(amount int64) string {
	user := st.service.user(st.t)
	st.caller.grant(st.t, user.id(), amount)
	return user.id().String()
}

// movers are the operations that need an Idempotency-Key.
func movers() (ids []string) {
	for _, item := range contract().Paths.Map() {
		for _, operation := range item.Operations() {
			if operation.Parameters.GetByInAndName(openapi3.ParameterInHeader, "Idempotency-Key") != nil {
				ids = append(ids, operation.OperationID)
			}
		}
	}
	return ids
}

// Whoever sends a request 50 times at once, and once more when it is over, gets
// one answer, byte for byte, and one effect. Every operation is here.
func TestMoves_AppliedOnce(t *testing.T) {
	t.Parallel()
	s := startService(t)
	var covered []string
	for _, test := range []struct {
		operation     string
		of            func(stage) move // the request, for a user who was granted 1000 credits
		balance, held int64            // of the user afterwards
	}{
		{"grantUserCredits", func(st stage) move {
			return move{st.credits + "/grants", `{"amount":100,"description":"Zürich \"5\""}`}
		}, 1100, 0},
		{"debitUserCredits", func(st stage) move {
			return move{st.credits + "/debits", `{"amount":100,"metadata":{"z":1,"a":12345678901234567890}}`}
		}, 900, 0},
		{"debitMyCredits", func(stage) move {
			return move{"/v1/me/credits/debits", `{"amount":100,"reference":"r"}`}
		}, 900, 0},
		{"placeUserCreditHold", func(st stage) move {
			return move{st.credits + "/holds", `{"amount":100,"expires_in":31536000,"reference":"r","description":"d","metadata":{"m":[1]}}`}
		}, 1000, 100},
		{"captureCreditHold", func(st stage) move {
			hold := st.must(st.credits+"/holds", `{"amount":100,"reference":"r","description":"d","metadata":{"m":[1]}}`)
			return move{"/v1/credits/holds/" + hold + "/capture", `{"amount":40,"final":false}`}
		}, 960, 60},
		{"incrementCreditHold", func(st stage) move {
			hold := st.must(st.credits+"/holds", `{"amount":100,"description":"d"}`)
			return move{"/v1/credits/holds/" + hold + "/increment", `{"amount":50}`}
		}, 1000, 150},
		{"voidCreditHold", func(st stage) move {
			return move{"/v1/credits/holds/" + st.must(st.credits+"/holds", `{"amount":100}`) + "/void", ""}
		}, 1000, 0},
		{"revokeCreditGrant", func(st stage) move {
			return move{"/v1/credits/grants/" + st.grant + "/revoke", ""}
		}, 0, 0},
		{"reverseCreditTransaction", func(st stage) move {
			debit := st.must(st.credits+"/debits", `{"amount":100}`)
			return move{"/v1/credits/transactions/" + debit + "/reversals", `{"amount":40,"description":"d"}`}
		}, 940, 0},
		{"transferCredits", func(st stage) move {
			return move{"/v1/credits/transfers", fmt.Sprintf(`{"from_user_id":%q,"to_user_id":%q,"amount":100,"metadata":{"m":1}}`, st.user, st.another(1))}
		}, 900, 0},
		{"applyCreditBatch", func(st stage) move {
			return move{"/v1/credits/batches", fmt.Sprintf(`{"mode":"independent","operations":[
				{"type":"grant","user_id":%[1]q,"amount":5,"description":"d"},
				{"type":"debit","user_id":%[1]q,"amount":5000},
				{"type":"debit","user_id":%[1]q,"amount":10},
				{"type":"transfer","from_user_id":%[1]q,"to_user_id":%[2]q,"amount":20}]}`, st.user, st.another(1))}
		}, 975, 0},
	} {
		covered = append(covered, test.operation)
		t.Run(test.operation, func(t *testing.T) {
			t.Parallel()
			st := newStage(t, s, 1000)
			asked := test.of(st)
			before := st.balance()

			answers, replays := make([]string, 50), make([]bool, 50)
			parallel(50, func(i int) {
				response, body := st.move(t, "key", asked)
				answers[i], replays[i] = fmt.Sprintf("%d %s", response.StatusCode, body), response.Header.Get("Idempotent-Replayed") == "true"
			})
			require.Regexp(t, "^20[01] ", answers[0])
			first := 0
			for i := range answers {
				require.Equal(t, answers[0], answers[i])
				if !replays[i] {
					first++
				}
			}
			require.Equal(t, 1, first)
			after := st.balance()
			require.Equal(t, []int64{test.balance, test.held}, []int64{after.Balance, after.Held})
			require.LessOrEqual(t, after.Sequence, before.Sequence+3)

			// It stays the answer when the account has changed since.
			st.must(st.credits+"/grants", `{"amount":1000000}`)
			response, body := st.move(t, "key", move{asked.path, " " + asked.body + "\n"})
			require.Equal(t, answers[0], fmt.Sprintf("%d %s", response.StatusCode, body))
			require.Equal(t, "true", response.Header.Get("Idempotent-Replayed"))

			// Under the same key nothing else can be asked for.
			response, body = st.move(t, "key", move{st.credits + "/grants", `{"amount":1}`})
			require.Equal(t, 422, response.StatusCode)
			require.Equal(t, "idempotency_key_reused", problemOf(t, body).Code)
			requireConsistent(t, st.history(t), int(after.Sequence)+1)
		})
	}
	require.ElementsMatch(t, movers(), covered)
}

// What is refused for the state of things stays refused under its key, in the
// same words, whatever has changed since.
func TestMoves_RefusedOnce(t *testing.T) {
	t.Parallel()
	s := startService(t)
	const largest = 9_007_199_254_740_991
	nobody := uuid.NewString()
	var covered []string
	for _, test := range []struct {
		operation, name string
		status          int
		code            string
		// of makes the request, for a user with 100 credits, and says what would let
		// it pass; nil where nothing could.
		of func(stage) (asked move, relent func())
	}{
		{"grantUserCredits", "UnknownUser", 404, "user_not_found", always(move{"/v1/users/" + nobody + "/credits/grants", `{"amount":1}`})},
		{"grantUserCredits", "Limit", 409, "balance_limit_exceeded", func(st stage) (move, func()) {
			return move{st.credits + "/grants", fmt.Sprintf(`{"amount":%d}`, largest)}, func() { st.must(st.credits+"/debits", `{"amount":100}`) }
		}},
		{"debitUserCredits", "TooLittle", 402, "insufficient_credits", func(st stage) (move, func()) {
			return move{st.credits + "/debits", `{"amount":101}`}, func() { st.must(st.credits+"/grants", `{"amount":101}`) }
		}},
		{"debitUserCredits", "UnknownUser", 404, "user_not_found", always(move{"/v1/users/" + nobody + "/credits/debits", `{"amount":1}`})},
		{"debitMyCredits", "TooLittle", 402, "insufficient_credits", func(st stage) (move, func()) {
			return move{"/v1/me/credits/debits", `{"amount":101}`}, func() { st.must(st.credits+"/grants", `{"amount":1}`) }
		}},
		{"placeUserCreditHold", "TooLittle", 402, "insufficient_credits", func(st stage) (move, func()) {
			return move{st.credits + "/holds", `{"amount":101}`}, func() { st.must(st.credits+"/grants", `{"amount":101}`) }
		}},
		{"placeUserCreditHold", "TooLittleIsFree", 402, "insufficient_credits", func(st stage) (move, func()) {
			hold := st.must(st.credits+"/holds", `{"amount":60}`)
			return move{st.credits + "/holds", `{"amount":41}`}, func() { st.must("/v1/credits/holds/"+hold+"/void", "") }
		}},
		{"placeUserCreditHold", "UnknownUser", 404, "user_not_found", always(move{"/v1/users/" + nobody + "/credits/holds", `{"amount":1}`})},
		{"captureCreditHold", "Unknown", 404, "hold_not_found", always(move{"/v1/credits/holds/" + nobody + "/capture", ""})},
		{"captureCreditHold", "Voided", 409, "hold_not_active", func(st stage) (move, func()) {
			hold := st.must(st.credits+"/holds", `{"amount":60}`)
			st.must("/v1/credits/holds/"+hold+"/void", "")
			return move{"/v1/credits/holds/" + hold + "/capture", `{"amount":1}`}, nil
		}},
		{"captureCreditHold", "Captured", 409, "hold_not_active", func(st stage) (move, func()) {
			hold := st.must(st.credits+"/holds", `{"amount":60}`)
			st.must("/v1/credits/holds/"+hold+"/capture", `{"amount":1}`)
			return move{"/v1/credits/holds/" + hold + "/capture", `{"amount":1}`}, nil
		}},
		{"captureCreditHold", "TooMuch", 422, "capture_exceeds_hold", func(st stage) (move, func()) {
			hold := st.must(st.credits+"/holds", `{"amount":60}`)
			return move{"/v1/credits/holds/" + hold + "/capture", `{"amount":61}`}, func() { st.must("/v1/credits/holds/"+hold+"/increment", `{"amount":1}`) }
		}},
		{"incrementCreditHold", "TooLittle", 402, "insufficient_credits", func(st stage) (move, func()) {
			hold := st.must(st.credits+"/holds", `{"amount":60}`)
			return move{"/v1/credits/holds/" + hold + "/increment", `{"amount":41}`}, func() { st.must(st.credits+"/grants", `{"amount":41}`) }
		}},
		{"incrementCreditHold", "Unknown", 404, "hold_not_found", always(move{"/v1/credits/holds/" + nobody + "/increment", `{"amount":1}`})},
		{"incrementCreditHold", "Voided", 409, "hold_not_active", func(st stage) (move, func()) {
			hold := st.must(st.credits+"/holds", `{"amount":60}`)
			st.must("/v1/credits/holds/"+hold+"/void", "")
			return move{"/v1/credits/holds/" + hold + "/increment", `{"amount":1}`}, nil
		}},
		{"voidCreditHold", "Unknown", 404, "hold_not_found", always(move{"/v1/credits/holds/" + nobody + "/void", ""})},
		{"voidCreditHold", "Captured", 409, "hold_not_active", func(st stage) (move, func()) {
			hold := st.must(st.credits+"/holds", `{"amount":60}`)
			st.must("/v1/credits/holds/"+hold+"/capture", "")
			return move{"/v1/credits/holds/" + hold + "/void", ""}, nil
		}},
		{"revokeCreditGrant", "Unknown", 404, "grant_not_found", always(move{"/v1/credits/grants/" + nobody + "/revoke", ""})},
		{"revokeCreditGrant", "Spent", 409, "grant_not_active", func(st stage) (move, func()) {
			debit := st.must(st.credits+"/debits", `{"amount":100}`)
			return move{"/v1/credits/grants/" + st.grant + "/revoke", ""}, func() { st.must("/v1/credits/transactions/"+debit+"/reversals", "") }
		}},
		{"revokeCreditGrant", "Held", 409, "grant_not_active", func(st stage) (move, func()) {
			hold := st.must(st.credits+"/holds", `{"amount":100}`)
			return move{"/v1/credits/grants/" + st.grant + "/revoke", ""}, func() { st.must("/v1/credits/holds/"+hold+"/void", "") }
		}},
		{"reverseCreditTransaction", "GrantIsSpent", 402, "insufficient_credits", func(st stage) (move, func()) {
			granted := st.must(st.credits+"/grants", `{"amount":50}`)
			debit := st.must(st.credits+"/debits", `{"amount":150}`)
			return move{"/v1/credits/transactions/" + granted + "/reversals", ""}, func() { st.must("/v1/credits/transactions/"+debit+"/reversals", "") }
		}},
		{"reverseCreditTransaction", "Unknown", 404, "transaction_not_found", always(move{"/v1/credits/transactions/" + nobody + "/reversals", ""})},
		{"reverseCreditTransaction", "Reversed", 409, "already_reversed", func(st stage) (move, func()) {
			debit := st.must(st.credits+"/debits", `{"amount":10}`)
			st.must("/v1/credits/transactions/"+debit+"/reversals", `{"amount":4}`)
			st.must("/v1/credits/transactions/"+debit+"/reversals", "{}")
			return move{"/v1/credits/transactions/" + debit + "/reversals", `{"amount":1}`}, nil
		}},
		{"reverseCreditTransaction", "Limit", 409, "balance_limit_exceeded", func(st stage) (move, func()) {
			debit := st.must(st.credits+"/debits", `{"amount":10}`)
			st.must(st.credits+"/grants", `{"amount":%d}`, largest-90)
			return move{"/v1/credits/transactions/" + debit + "/reversals", ""}, func() { st.must(st.credits+"/debits", `{"amount":10}`) }
		}},
		{"reverseCreditTransaction", "TooMuch", 422, "reversal_exceeds_original", func(st stage) (move, func()) {
			debit := st.must(st.credits+"/debits", `{"amount":10}`)
			st.must("/v1/credits/transactions/"+debit+"/reversals", `{"amount":4}`)
			return move{"/v1/credits/transactions/" + debit + "/reversals", `{"amount":7}`}, nil
		}},
		{"reverseCreditTransaction", "OfAReversal", 422, "not_reversible", func(st stage) (move, func()) {
			debit := st.must(st.credits+"/debits", `{"amount":10}`)
			reversal := st.must("/v1/credits/transactions/"+debit+"/reversals", "")
			return move{"/v1/credits/transactions/" + reversal + "/reversals", ""}, nil
		}},
		{"transferCredits", "TooLittle", 402, "insufficient_credits", func(st stage) (move, func()) {
			asked := move{"/v1/credits/transfers", fmt.Sprintf(`{"from_user_id":%q,"to_user_id":%q,"amount":101}`, st.user, st.another(1))}
			return asked, func() { st.must(st.credits+"/grants", `{"amount":1}`) }
		}},
		{"transferCredits", "ToNobody", 404, "user_not_found", func(st stage) (move, func()) {
			return move{"/v1/credits/transfers", fmt.Sprintf(`{"from_user_id":%q,"to_user_id":%q,"amount":1}`, st.user, nobody)}, nil
		}},
		{"transferCredits", "FromNobody", 404, "user_not_found", func(st stage) (move, func()) {
			return move{"/v1/credits/transfers", fmt.Sprintf(`{"from_user_id":%q,"to_user_id":%q,"amount":1}`, nobody, st.user)}, nil
		}},
		{"transferCredits", "Limit", 409, "balance_limit_exceeded", func(st stage) (move, func()) {
			rich := st.another(largest)
			asked := move{"/v1/credits/transfers", fmt.Sprintf(`{"from_user_id":%q,"to_user_id":%q,"amount":1}`, st.user, rich)}
			return asked, func() { st.must("/v1/users/"+rich+"/credits/debits", `{"amount":1}`) }
		}},
		{"applyCreditBatch", "TooLittle", 402, "insufficient_credits", func(st stage) (move, func()) {
			return atomicBatch(`{"type":"grant","user_id":%[1]q,"amount":1},{"type":"debit","user_id":%[1]q,"amount":102}`, st.user),
				func() { st.must(st.credits+"/grants", `{"amount":1}`) }
		}},
		{"applyCreditBatch", "UnknownUser", 404, "user_not_found", func(st stage) (move, func()) {
			return atomicBatch(`{"type":"grant","user_id":%[1]q,"amount":1},{"type":"debit","user_id":%[2]q,"amount":1}`, st.user, nobody), nil
		}},
		{"applyCreditBatch", "Limit", 409, "balance_limit_exceeded", func(st stage) (move, func()) {
			return atomicBatch(`{"type":"debit","user_id":%[1]q,"amount":100},{"type":"grant","user_id":%[1]q,"amount":%[2]d},{"type":"grant","user_id":%[1]q,"amount":1}`, st.user, int64(largest)), nil
		}},
	} {
		covered = append(covered, test.operation)
		t.Run(test.operation+"/"+test.name, func(t *testing.T) {
			t.Parallel()
			st := newStage(t, s, 100)
			asked, relent := test.of(st)
			before := st.balance()

			response, body := st.move(t, "key", asked)
			require.Equal(t, test.status, response.StatusCode, string(body))
			requireProblem(t, response, body, test.code, "")
			require.Empty(t, response.Header.Get("Idempotent-Replayed"))
			if test.operation == "applyCreditBatch" {
				last := strings.Count(asked.body, `"type"`) - 1
				require.Equal(t, fmt.Sprintf("/operations/%d", last), problemOf(t, body).Errors[0].Pointer)
			}
			require.Equal(t, before, st.balance(), "something was done")

			if relent != nil {
				relent()
				before = st.balance()
			}
			again, replayed := st.move(t, "key", asked)
			require.Equal(t, test.status, again.StatusCode)
			require.Equal(t, string(body), string(replayed))
			require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
			require.Equal(t, before, st.balance(), "something was done")
			if relent != nil {
				passes, answer := st.move(t, "another-key", asked)
				require.Less(t, passes.StatusCode, 300, string(answer)) // it would pass by now
			}
		})
	}
	for _, operation := range movers() {
		require.Contains(t, covered, operation)
	}
}

func always(asked move) func(stage) (move, func()) {
	return func(stage) (move, func()) { return asked, nil }
}

func atomicBatch(operations string, args ...any) move {
	return move{"/v1/credits/batches", `{"mode":"atomic","operations":[` + fmt.Sprintf(operations, args...) + `]}`}
}

// Operations that take no body take none that says something.
func TestMoves_WithoutABody(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin := s.admin(t)
	for path, item := range contract().Paths.Map() {
		operation := item.Post
		if operation == nil || operation.RequestBody != nil || operation.Parameters.GetByInAndName(openapi3.ParameterInHeader, "Idempotency-Key") == nil {
			continue
		}
		t.Run(operation.OperationID, func(t *testing.T) {
			t.Parallel()
			target := fill(path, admin.id())
			for _, test := range []struct {
				name, body string
				header     []string
				status     int
				code       string
				pointer    string
			}{
				{"NoKey", "", []string{}, 400, "idempotency_key_required", "/header/Idempotency-Key"},
				{"Malformed", "{", nil, 400, "malformed_request", ""},
				{"Amount", `{"amount":5}`, nil, 422, "validation_failed", "/amount"},
				{"Null", `null`, nil, 422, "validation_failed", ""},
				{"Form", "amount=5", []string{"Idempotency-Key", "k", "Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type", ""},
				{"Large", `{"x":"` + strings.Repeat("x", 64<<10) + `"}`, nil, 413, "request_too_large", ""},
			} {
				header := test.header
				if header == nil {
					header = []string{"Idempotency-Key", uuid.NewString()}
				}
				response, body := admin.send(t, http.MethodPost, target, test.body, header...)
				require.Equal(t, test.status, response.StatusCode, "%s: %s", test.name, body)
				requireProblem(t, response, body, test.code, test.pointer)
			}
			// None and an empty one are the same request.
			key := uuid.NewString()
			first, body := admin.send(t, http.MethodPost, target, "", "Idempotency-Key", key, "Content-Type", "text/plain")
			again, replayed := admin.send(t, http.MethodPost, target, " { } ", "Idempotency-Key", key)
			require.Equal(t, []int{404, 404}, []int{first.StatusCode, again.StatusCode})
			require.Equal(t, string(body), string(replayed))
		})
	}
}

// A transfer to the same user can never pass, and uses up no key.
func TestMoves_SameAccount(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, user, other := s.admin(t), s.user(t), s.user(t)
	admin.grant(t, user.id(), 10)
	request := authclient.TransferRequest{FromUserID: user.id(), ToUserID: user.id(), Amount: 1}
	ask := func() *authclient.TransferCreditsResponse {
		r, err := admin.TransferCreditsWithResponse(t.Context(), &authclient.TransferCreditsParams{IdempotencyKey: "k"}, request)
		require.NoError(t, err)
		return r
	}
	refused := ask()
	require.Equal(t, 422, refused.StatusCode())
	require.Equal(t, "same_account", refused.ApplicationProblemJSON422.Code)
	request.ToUserID = other.id()
	require.Equal(t, 201, ask().StatusCode())
}
