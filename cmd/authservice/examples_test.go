package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

// Every example request of the contract is sent, in everybody's name, with the
// ids of the example and with those of somebody who exists. contractTransport
// checks each answer; none may find fault with the form of the example.
func TestContract_ExamplesAreAnswered(t *testing.T) {
	t.Parallel()
	s, _ := startServiceWithMail(t, "AUTH_RATE_LIMIT_ENABLED=false")
	scopes := make([]authclient.Scope, 0, len(contract().Components.Schemas["Scope"].Value.Enum))
	for _, scope := range contract().Components.Schemas["Scope"].Value.Enum {
		scopes = append(scopes, authclient.Scope(scope.(string)))
	}
	backend := s.backend(t, scopes...)

	// Who registers can log in; the rest goes in any order.
	register := contract().Paths.Value("/v1/auth/register")
	for _, r := range exampleRequests(t, http.MethodPost, "/v1/auth/register", register, register.Post, nil) {
		response, body := s.anonymous(t).sendRequest(t, r)
		require.Equal(t, http.StatusCreated, response.StatusCode, string(body))
	}
	succeeded := map[string]bool{}
	for path, item := range contract().Paths.Map() {
		for method, operation := range item.Operations() {
			security := &contract().Security
			if operation.Security != nil {
				security = operation.Security
			}
			callers := map[string]*caller{"nobody": s.anonymous(t)}
			if len(*security) > 0 {
				callers["backend"] = backend
				// Their own, because some of the examples end sessions and accounts.
				callers["user"], callers["admin"] = s.user(t), s.admin(t)
			}
			existing := s.user(t)
			for who, c := range callers {
				for _, ids := range []map[string]string{nil, {"user_id": existing.id().String()}} {
					for _, r := range exampleRequests(t, method, path, item, operation, ids) {
						response, body := c.sendRequest(t, r)
						what := fmt.Sprintf("%s %s as %s: %d %s", method, path, who, response.StatusCode, body)
						if r.body != "" || r.query != "" {
							requireNoFaultOfForm(t, response, body, what)
						}
						if response.StatusCode < 300 {
							succeeded[operation.OperationID] = true
						}
					}
				}
			}
		}
	}
	// What needs no more than somebody who exists works as it is written.
	for _, id := range []string{
		"logIn", "forgotPassword", "resendVerification", "getMe", "updateMe", "changeMyPassword", "changeMyEmail", "deleteMe",
		"getUserCredits", "grantUserCredits", "listUserCreditTransactions", "createUser", "updateUser", "suspendUser", "createAPIKey", "listAuditEvents",
	} {
		require.True(t, succeeded[id], "the example of %s never succeeds", id)
	}
}

// requireNoFaultOfForm allows every refusal but those that an example must not meet.
func requireNoFaultOfForm(t *testing.T, response *http.Response, body []byte, what string) {
	t.Helper()
	switch response.StatusCode {
	case http.StatusBadRequest:
		require.Equal(t, "invalid_token", problemOf(t, body).Code, what) // of a mail that nobody got
	case http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		t.Error(what)
	}
}

// exampleRequest is a request as the contract shows it.
type exampleRequest struct {
	method, path, query, body string
	header                    http.Header
}

// exampleRequests are one for each example of a body, without and with the query.
func exampleRequests(t *testing.T, method, path string, item *openapi3.PathItem, operation *openapi3.Operation, ids map[string]string) []exampleRequest {
	t.Helper()
	r := exampleRequest{method: method, path: path, header: http.Header{}}
	query := url.Values{}
	for _, parameter := range append(item.Parameters[:len(item.Parameters):len(item.Parameters)], operation.Parameters...) {
		p := parameter.Value
		example := p.Example
		if example == nil {
			example = p.Schema.Value.Example
		}
		require.NotNil(t, example, "%s %s: %s has no example", method, path, p.Name)
		text := fmt.Sprint(example)
		switch {
		case p.In == "path":
			if id, ok := ids[p.Name]; ok {
				text = id
			}
			r.path = strings.ReplaceAll(r.path, "{"+p.Name+"}", text)
		case p.Name == "Idempotency-Key":
			r.header.Set(p.Name, uuid.NewString()) // One key of a caller is for one request.
		case p.In == "header":
			r.header.Set(p.Name, text)
		case p.Name != "cursor": // Its example is no cursor of a list of ours.
			query.Set(p.Name, text)
		}
	}
	var all []exampleRequest
	for _, body := range exampleBodies(t, operation) {
		r.body = body
		all = append(all, r)
	}
	if len(query) > 0 {
		r.query = query.Encode()
		all = append(all, r)
	}
	return all
}

func exampleBodies(t *testing.T, operation *openapi3.Operation) []string {
	t.Helper()
	if operation.RequestBody == nil {
		return []string{""}
	}
	media := operation.RequestBody.Value.Content["application/json"]
	examples := []any{media.Example}
	if media.Example == nil {
		examples = nil
		for _, example := range media.Examples {
			examples = append(examples, example.Value.Value)
		}
	}
	require.NotEmpty(t, examples, "%s has no example request", operation.OperationID)
	bodies := make([]string, len(examples))
	for i, example := range examples {
		body, err := json.Marshal(example)
		require.NoError(t, err)
		bodies[i] = string(body)
	}
	return bodies
}

// sendRequest sends a request in the caller's name.
func (c *caller) sendRequest(t *testing.T, r exampleRequest) (*http.Response, []byte) {
	t.Helper()
	header := make([]string, 0, 2*len(r.header))
	for name := range r.header {
		header = append(header, name, r.header.Get(name))
	}
	path := r.path
	if r.query != "" {
		path += "?" + r.query
	}
	return c.send(t, r.method, path, r.body, header...)
}
