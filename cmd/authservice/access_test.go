package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

// Every operation against every kind of caller. What is expected comes from the
// contract, so that a new operation is covered when it is written down.
func TestAccess(t *testing.T) {
	t.Parallel()
	s := startService(t, "AUTH_LIMIT_REGISTER=1000/1h")
	for path, item := range contract().Paths.Map() {
		for method, operation := range item.Operations() {
			t.Run(operation.OperationID, func(t *testing.T) {
				t.Parallel()
				scopes := scopesOf(operation)
				role, _ := operation.Extensions["x-required-role"].(string)
				owner, _ := operation.Extensions["x-or-owner"].(string)
				bearer, apiKey := schemes(operation)
				victim := s.user(t)
				ask := func(c *caller) int {
					response, _ := c.send(t, method, fill(path, victim.id()), exampleOf(t, operation), "Idempotency-Key", uuid.NewString())
					return response.StatusCode
				}
				mine := strings.Contains(path, "/me") && operation.RequestBody != nil // may ask for a password again

				if !bearer && !apiKey {
					require.Less(t, ask(s.anonymous(t)), 500)
					return
				}
				require.Equal(t, http.StatusUnauthorized, ask(s.anonymous(t)), "anonymous")
				require.Equal(t, http.StatusUnauthorized, ask(withHeader(s, "garbage")), "garbage")

				if len(scopes) > 0 || role != "" {
					require.Equal(t, http.StatusForbidden, ask(s.user(t)), "another user")
					if owner == "" {
						require.Equal(t, http.StatusForbidden, ask(victim), "the user concerned")
					} else {
						require.Equal(t, "user_id", owner)
						require.Equal(t, http.StatusOK, ask(victim), "the user concerned")
					}
					require.NotContains(t, []int{401, 403}, ask(s.admin(t)), "an administrator")
				} else {
					status := ask(s.user(t))
					require.NotEqual(t, http.StatusUnauthorized, status, "a user")
					require.True(t, mine || status != http.StatusForbidden, "a user")
				}

				if !apiKey {
					require.Equal(t, http.StatusUnauthorized, ask(s.backend(t, without()...)), "a key with every scope")
					return
				}
				require.Equal(t, http.StatusForbidden, ask(s.backend(t, without(scopes...)...)), "a key with every other scope")
				require.NotContains(t, []int{401, 403}, ask(s.backend(t, scopes...)), "a key with the scope")
			})
		}
	}
}

// Where every item of a body asks for a scope of its own, one that is missing is
// enough to refuse all of it.
func TestAccess_ScopesOfItems(t *testing.T) {
	t.Parallel()
	s := startService(t)
	for path, item := range contract().Paths.Map() {
		for method, operation := range item.Operations() {
			rule, ok := operation.Extensions["x-required-scopes"].(map[string]any)
			if !ok {
				continue
			}
			list, by := rule["of-each"].(string), rule["by"].(string)
			body := operation.RequestBody.Value.Content.Get("application/json").Example.(map[string]any)
			response, _ := s.backend(t, without(scopesOf(operation)...)...).send(t, method, path, "{", "Idempotency-Key", "none")
			require.Equal(t, http.StatusForbidden, response.StatusCode, "who has none of the scopes is not heard")
			seen := map[string]bool{}
			for i, item := range body[list].([]any) {
				scope := rule["scopes"].(map[string]any)[item.(map[string]any)[by].(string)].(string)
				seen[scope] = true

				// All of it, without the one scope.
				response, answer := s.backend(t, without(authclient.Scope(scope))...).send(t, method, path, exampleOf(t, operation), "Idempotency-Key", "all")
				require.Equal(t, http.StatusForbidden, response.StatusCode, string(answer))
				requireProblem(t, response, answer, "insufficient_scope", fmt.Sprintf("/%s/%d", list, i))

				// The one, with nothing but its scope.
				single := maps.Clone(body)
				single[list] = []any{item}
				encoded, err := json.Marshal(single)
				require.NoError(t, err)
				response, answer = s.backend(t, authclient.Scope(scope)).send(t, method, path, string(encoded), "Idempotency-Key", "one")
				require.Equal(t, http.StatusOK, response.StatusCode, string(answer))
			}
			require.ElementsMatch(t, slices.Collect(maps.Values(rule["scopes"].(map[string]any))), slices.Collect(maps.Keys(seen)), "the example has every kind")
		}
	}
}

// Nobody reaches another's account through the paths that take no id.
func TestAccess_OwnAccountOnly(t *testing.T) {
	t.Parallel()
	s := startService(t)
	backend := s.backend(t, authclient.ScopeCreditsGrant)
	rich, poor := s.user(t), s.user(t)
	backend.grant(t, rich.id(), 1000)

	require.Zero(t, poor.balance(t).Balance)
	require.Empty(t, poor.history(t))
	require.Equal(t, 402, poor.debit(t, "k", authclient.DebitRequest{Amount: 1}).StatusCode())
	require.EqualValues(t, 1000, rich.balance(t).Balance)
}

// An access token and a refresh token are not interchangeable, nor is anything else.
func TestAccess_WrongKindOfCredential(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	backend := s.backend(t, authclient.ScopeCreditsRead)
	path := "/v1/users/" + user.id().String() + "/credits"
	for name, header := range map[string][2]string{
		"RefreshTokenAsBearer": {"Authorization", "Bearer " + user.session.RefreshToken},
		"APIKeyAsBearer":       {"Authorization", "Bearer " + backend.key},
		"AccessTokenAsKey":     {"X-API-Key", user.session.AccessToken},
		"Basic":                {"Authorization", "Basic dXNlcjpwYXNz"},
		"NoScheme":             {"Authorization", user.session.AccessToken},
		"LongKey":              {"X-API-Key", backend.key + strings.Repeat("0", 64)},
		"CutKey":               {"X-API-Key", backend.key[:len(backend.key)-1]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, body := s.anonymous(t).send(t, http.MethodGet, path, "", header[0], header[1])
			require.Equal(t, 401, response.StatusCode, string(body))
			require.True(t, strings.HasPrefix(response.Header.Get("WWW-Authenticate"), "Bearer"))
		})
	}
}

func schemes(operation *openapi3.Operation) (bearer, apiKey bool) {
	security := operation.Security
	if security == nil {
		security = &contract().Security
	}
	for _, requirement := range *security {
		_, isBearer := requirement["bearerAuth"]
		_, isKey := requirement["apiKeyAuth"]
		bearer, apiKey = bearer || isBearer, apiKey || isKey
	}
	return bearer, apiKey
}

func fill(path string, user uuid.UUID) string {
	return pathParameter.ReplaceAllStringFunc(path, func(name string) string {
		if name == "{user_id}" {
			return user.String()
		}
		return uuid.NewString() // of nothing that there is
	})
}

func exampleOf(t *testing.T, operation *openapi3.Operation) string {
	t.Helper()
	if operation.RequestBody == nil {
		return ""
	}
	body, err := json.Marshal(operation.RequestBody.Value.Content.Get("application/json").Example)
	require.NoError(t, err)
	return string(body)
}

func withHeader(s *service, token string) *caller {
	return &caller{service: s, session: authclient.Session{AccessToken: token}}
}

// scopesOf lists the scopes that an operation asks for, with its example.
func scopesOf(operation *openapi3.Operation) (scopes []authclient.Scope) {
	if scope, ok := operation.Extensions["x-required-scope"].(string); ok {
		scopes = append(scopes, authclient.Scope(scope))
	}
	if rule, ok := operation.Extensions["x-required-scopes"].(map[string]any); ok {
		for _, scope := range rule["scopes"].(map[string]any) {
			scopes = append(scopes, authclient.Scope(scope.(string)))
		}
	}
	return scopes
}

// without lists all scopes but some.
func without(some ...authclient.Scope) (others []authclient.Scope) {
	for _, known := range contract().Components.Schemas["Scope"].Value.Enum {
		if scope := authclient.Scope(known.(string)); !slices.Contains(some, scope) {
			others = append(others, scope)
		}
	}
	return others
}
