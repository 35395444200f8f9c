package main

import (
	"encoding/json"
	"net/http"
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
	s := startService(t)
	for path, item := range contract().Paths.Map() {
		for method, operation := range item.Operations() {
			t.Run(operation.OperationID, func(t *testing.T) {
				t.Parallel()
				scope, _ := operation.Extensions["x-required-scope"].(string)
				role, _ := operation.Extensions["x-required-role"].(string)
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

				if scope != "" || role != "" {
					require.Equal(t, http.StatusForbidden, ask(s.user(t)), "another user")
					require.Equal(t, http.StatusForbidden, ask(victim), "the user concerned")
					require.NotContains(t, []int{401, 403}, ask(s.admin(t)), "an administrator")
				} else {
					status := ask(s.user(t))
					require.NotEqual(t, http.StatusUnauthorized, status, "a user")
					require.True(t, mine || status != http.StatusForbidden, "a user")
				}

				if !apiKey {
					require.Equal(t, http.StatusUnauthorized, ask(s.backend(t, without("")...)), "a key with every scope")
					return
				}
				require.Equal(t, http.StatusForbidden, ask(s.backend(t, without(scope)...)), "a key with every other scope")
				require.NotContains(t, []int{401, 403}, ask(s.backend(t, authclient.Scope(scope))), "a key with the scope")
			})
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
	return strings.NewReplacer("{user_id}", user.String(), "{api_key_id}", uuid.NewString(), "{session_id}", uuid.NewString()).Replace(path)
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

// without lists all scopes but one, or all for none.
func without(scope string) (others []authclient.Scope) {
	for _, known := range contract().Components.Schemas["Scope"].Value.Enum {
		if known != scope {
			others = append(others, authclient.Scope(known.(string)))
		}
	}
	return others
}
