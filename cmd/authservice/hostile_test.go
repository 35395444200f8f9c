package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// What must be refused, how, and where the answer points.
func TestHostile_Debits(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	s.admin(t).grant(t, user.id(), 1_000_000)
	before := user.balance(t)

	deep := strings.Repeat(`{"x":`, 40) + "1" + strings.Repeat("}", 40)
	tests := []struct {
		name, body string
		status     int
		code       string
		pointer    string
	}{
		{"CutOff", `{"amount":5`, 400, "malformed_request", ""},
		{"TrailingData", `{"amount":5} x`, 400, "malformed_request", ""},
		{"SecondValue", `{"amount":5}{"amount":5}`, 400, "malformed_request", ""},
		{"RepeatedField", `{"amount":5,"amount":6}`, 400, "malformed_request", ""},
		{"RepeatedFieldEscaped", `{"amount":5,"\u0061mount":6}`, 400, "malformed_request", ""},
		{"RepeatedInMetadata", `{"amount":5,"metadata":{"a":1,"a":2}}`, 400, "malformed_request", ""},
		{"InvalidUTF8", "{\"amount\":5,\"description\":\"\xff\"}", 400, "malformed_request", ""},
		{"LoneSurrogate", `{"amount":5,"description":"\ud800"}`, 400, "malformed_request", ""},
		{"SingleQuotes", `{'amount':5}`, 400, "malformed_request", ""},
		{"NaN", `{"amount":NaN}`, 400, "malformed_request", ""},
		{"LeadingZero", `{"amount":05}`, 400, "malformed_request", ""},
		{"TooDeep", `{"amount":5,"metadata":` + deep + `}`, 400, "malformed_request", ""},
		{"TooManyMembers", `{"amount":5,"metadata":{` + members(129) + `}}`, 400, "malformed_request", ""},
		{"Empty", ``, 400, "malformed_request", ""},
		{"White", ` `, 400, "malformed_request", ""},
		{"Array", `[]`, 422, "validation_failed", ""},
		{"Null", `null`, 422, "validation_failed", ""},
		{"NoFields", `{}`, 422, "validation_failed", "/amount"},
		{"Zero", `{"amount":0}`, 422, "validation_failed", "/amount"},
		{"Negative", `{"amount":-1}`, 422, "validation_failed", "/amount"},
		{"NegativeZero", `{"amount":-0}`, 422, "validation_failed", "/amount"},
		{"Fraction", `{"amount":1.5}`, 422, "validation_failed", "/amount"},
		{"PointZero", `{"amount":5.0}`, 422, "validation_failed", "/amount"},
		{"Exponent", `{"amount":1e3}`, 422, "validation_failed", "/amount"},
		{"TwoToThe53", `{"amount":9007199254740992}`, 422, "validation_failed", "/amount"},
		{"TwoToThe53And1", `{"amount":9007199254740993}`, 422, "validation_failed", "/amount"},
		{"TwoToThe64", `{"amount":18446744073709551616}`, 422, "validation_failed", "/amount"},
		{"Huge", `{"amount":1e400}`, 422, "validation_failed", "/amount"},
		{"String", `{"amount":"5"}`, 422, "validation_failed", "/amount"},
		{"True", `{"amount":true}`, 422, "validation_failed", "/amount"},
		{"NullAmount", `{"amount":null}`, 422, "validation_failed", "/amount"},
		{"UnknownField", `{"amount":5,"currency":"EUR"}`, 422, "validation_failed", "/currency"},
		{"OtherCase", `{"amount":5,"AMOUNT":6}`, 422, "validation_failed", "/AMOUNT"},
		{"OtherCaseOnly", `{"Amount":5}`, 422, "validation_failed", "/Amount"},
		{"UserID", `{"amount":5,"user_id":"` + uuid.NewString() + `"}`, 422, "validation_failed", "/user_id"},
		{"PointerIsEscaped", `{"amount":5,"a/b~c":1}`, 422, "validation_failed", "/a~1b~0c"},
		{"NULInText", `{"amount":5,"description":"a\u0000b"}`, 422, "validation_failed", "/description"},
		{"ControlInReference", `{"amount":5,"reference":"a\nb"}`, 422, "validation_failed", "/reference"},
		{"LongReference", `{"amount":5,"reference":"` + strings.Repeat("x", 256) + `"}`, 422, "validation_failed", "/reference"},
		{"EmptyReference", `{"amount":5,"reference":""}`, 422, "validation_failed", "/reference"},
		{"MetadataArray", `{"amount":5,"metadata":[]}`, 422, "validation_failed", "/metadata"},
		{"MetadataTooMany", `{"amount":5,"metadata":{` + members(51) + `}}`, 422, "validation_failed", "/metadata"},
		{"PartialString", `{"amount":5,"allow_partial":"yes"}`, 422, "validation_failed", "/allow_partial"},
		{"OneMegabyte", `{"amount":5,"description":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "request_too_large", ""},
	}
	t.Run("Bodies", func(t *testing.T) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				response, body := user.send(t, http.MethodPost, "/v1/me/credits/debits", test.body,
					"Idempotency-Key", uuid.NewString(), "Content-Type", "application/json")
				require.Equal(t, test.status, response.StatusCode, string(body))
				requireProblem(t, response, body, test.code, test.pointer)
			})
		}
	})
	require.Equal(t, before, user.balance(t), "something was written")
}

func TestHostile_Headers(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	const path, body = "/v1/me/credits/debits", `{"amount":5}`
	tests := []struct {
		name    string
		header  []string
		status  int
		code    string
		pointer string
	}{
		{"NoKey", nil, 400, "idempotency_key_required", "/header/Idempotency-Key"},
		{"EmptyKey", []string{"Idempotency-Key", ""}, 400, "idempotency_key_required", "/header/Idempotency-Key"},
		{"KeyWithSpace", []string{"Idempotency-Key", "a b"}, 400, "idempotency_key_invalid", "/header/Idempotency-Key"},
		{"KeyNotASCII", []string{"Idempotency-Key", "schlüssel"}, 400, "idempotency_key_invalid", "/header/Idempotency-Key"},
		{"LongKey", []string{"Idempotency-Key", strings.Repeat("k", 256)}, 400, "idempotency_key_invalid", "/header/Idempotency-Key"},
		{"Form", []string{"Idempotency-Key", "k", "Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type", ""},
		{"Text", []string{"Idempotency-Key", "k", "Content-Type", "text/plain"}, 415, "unsupported_media_type", ""},
		{"NoType", []string{"Idempotency-Key", "k", "Content-Type", ""}, 415, "unsupported_media_type", ""},
		{"UTF16", []string{"Idempotency-Key", "k", "Content-Type", "application/json; charset=utf-16"}, 415, "unsupported_media_type", ""},
		{"LongestKey", []string{"Idempotency-Key", strings.Repeat("k", 255), "Content-Type", "application/json; charset=UTF-8"}, 402, "insufficient_credits", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			response, answer := user.send(t, http.MethodPost, path, body, test.header...)
			require.Equal(t, test.status, response.StatusCode, string(answer))
			requireProblem(t, response, answer, test.code, test.pointer)
		})
	}
	t.Run("TwoKeys", func(t *testing.T) {
		t.Parallel()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header = http.Header{"Authorization": {"Bearer " + user.session.AccessToken}, "Content-Type": {"application/json"}, "Idempotency-Key": {"a", "b"}}
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, 400, response.StatusCode)
	})
}

func TestHostile_Parameters(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin := s.admin(t)
	transactions := "/v1/users/" + admin.id().String() + "/credits/transactions"
	for query, pointer := range map[string]string{
		"limit=0": "/query/limit", "limit=201": "/query/limit", "limit=x": "/query/limit", "limit=1.5": "/query/limit", "limit=1e1": "/query/limit", "limit=": "/query/limit",
		"limit=1&limit=2": "/query/limit", "type=theft": "/query/type", "from=yesterday": "/query/from",
		"to=2026-13-01T00:00:00Z": "/query/to", "reference=": "/query/reference", "reference=%00": "/query/reference",
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			response, body := admin.send(t, http.MethodGet, transactions+"?"+query, "")
			require.Equal(t, 422, response.StatusCode, string(body))
			requireProblem(t, response, body, "validation_failed", pointer)
			if strings.HasPrefix(query, "limit") {
				response, _ = admin.send(t, http.MethodGet, "/v1/api-keys?"+query, "")
				require.Equal(t, 422, response.StatusCode)
			}
		})
	}
	for _, id := range []string{"1", "me", "%00", "..%2f..", "urn:uuid:" + uuid.NewString(), "{" + uuid.NewString() + "}", strings.ReplaceAll(uuid.NewString(), "-", "")} {
		t.Run("UserID/"+id, func(t *testing.T) {
			t.Parallel()
			for _, request := range [][2]string{{"GET", "/v1/users/%s/credits"}, {"GET", "/v1/users/%s/credits/grants"}, {"DELETE", "/v1/api-keys/%s"}} {
				response, body := admin.send(t, request[0], fmt.Sprintf(request[1], id), "")
				require.Equal(t, 422, response.StatusCode, string(body))
			}
		})
	}
	t.Run("UnknownUser", func(t *testing.T) {
		t.Parallel()
		for _, suffix := range []string{"", "/transactions", "/grants"} {
			response, body := admin.send(t, http.MethodGet, "/v1/users/"+uuid.NewString()+"/credits"+suffix, "")
			require.Equal(t, 404, response.StatusCode)
			requireProblem(t, response, body, "user_not_found", "")
		}
		for _, move := range []string{"grants", "debits"} {
			response, body := admin.send(t, http.MethodPost, "/v1/users/"+uuid.NewString()+"/credits/"+move, `{"amount":1}`, "Idempotency-Key", uuid.NewString())
			require.Equal(t, 404, response.StatusCode)
			requireProblem(t, response, body, "user_not_found", "")
		}
	})
}

// Every operation with a body refuses what is not JSON, and fields that nobody may set.
func TestHostile_EveryBody(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin := s.admin(t)
	for path, item := range contract().Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.RequestBody == nil {
				continue
			}
			t.Run(operation.OperationID, func(t *testing.T) {
				t.Parallel()
				target := pathParameter.ReplaceAllString(path, admin.id().String()) // of something or nothing
				largest, ok := operation.Extensions["x-max-body-bytes"].(float64)
				if !ok {
					largest = 64 << 10
				}
				ask := func(body string, header ...string) (int, []byte) {
					response, answer := admin.send(t, method, target, body, append([]string{"Idempotency-Key", uuid.NewString()}, header...)...)
					return response.StatusCode, answer
				}
				status, _ := ask("{")
				require.Equal(t, 400, status)
				const around = len(`{"x":""}`)
				status, _ = ask(`{"x":"`+strings.Repeat("x", int(largest)-around)+`"}`, "Content-Type", "application/json")
				require.Equal(t, 422, status)
				status, _ = ask(`{"x":"`+strings.Repeat("x", int(largest)-around+1)+`"}`, "Content-Type", "application/json")
				require.Equal(t, 413, status)
				status, _ = ask("a=b", "Content-Type", "application/x-www-form-urlencoded")
				require.Equal(t, 415, status)
				example := exampleOf(t, operation)
				taken := operation.RequestBody.Value.Content.Get("application/json").Schema.Value.Properties
				for _, forbidden := range []string{"role", "ROLE", "status", "email_verified", "balance", "id", "Scope"} {
					if taken[forbidden] != nil {
						continue // an administrator's to set
					}
					status, body := ask(`{"` + forbidden + `":"admin",` + strings.TrimPrefix(example, "{"))
					require.Equal(t, 422, status, string(body))
					require.Equal(t, "/"+forbidden, problemOf(t, body).Errors[0].Pointer)
				}
			})
		}
	}
}

func TestHostile_NothingIsEchoed(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin := s.admin(t)
	const canary = "canary-7f3a"
	for _, request := range [][3]string{
		{"POST", "/v1/auth/login", `{"email":"` + canary + `","password":"` + canary + `"}`},
		{"POST", "/v1/auth/register", `{"email":"` + canary + `","password":"` + canary + `"}`},
		{"POST", "/v1/auth/refresh", `{"refresh_token":"` + canary + `"}`},
		{"POST", "/v1/api-keys", `{"name":"x","scopes":["` + canary + `"]}`},
		{"GET", "/v1/users/" + canary + "/credits", ""},
		{"GET", "/v1/me/credits/transactions?limit=" + canary, ""},
		{"GET", "/v1/me/credits/transactions?cursor=" + canary, ""},
		{"GET", "/" + canary, ""},
	} {
		response, body := admin.send(t, request[0], request[1], request[2])
		require.GreaterOrEqual(t, response.StatusCode, 400, request)
		require.NotContains(t, string(body), canary, request)
	}
	require.NotContains(t, s.logs.String(), testPassword)
	require.NotContains(t, s.logs.String(), admin.session.AccessToken)
}

// Whatever a client sends, and wherever: it begins no line in the log, and no field.
func TestHostile_LogLines(t *testing.T) {
	t.Parallel()
	s := startService(t, "AUTH_LOG_LEVEL=debug", "AUTH_TRUSTED_PROXIES=127.0.0.0/8")
	user := s.user(t)
	const forged = "x\n{\"message\":\"FORGED\",\"user.id\":\"FORGED\"}\r\n\x1b[2J\u2028"
	visible := strings.NewReplacer("\n", " ", "\r", " ", "\x1b", " ").Replace(forged)
	for _, path := range []string{"/" + url.PathEscape(forged), "/v1/users/" + url.PathEscape(forged), "/v1/me/credits/transactions?cursor=" + url.QueryEscape(forged)} {
		_, _ = user.send(t, http.MethodGet, path, "")
	}
	for _, name := range []string{"User-Agent", "X-Request-ID", "Authorization", "X-API-Key", "X-Forwarded-For", "Idempotency-Key", "Origin", "Content-Type", "Referer"} {
		_, _ = user.send(t, http.MethodPost, "/v1/me/credits/debits", `{"amount":1}`, name, visible)
	}
	_, _ = s.anonymous(t).send(t, "FORGED", "/v1/me", "")
	body, err := json.Marshal(map[string]string{"email": forged, "password": forged, forged: forged})
	require.NoError(t, err)
	_, _ = s.anonymous(t).send(t, http.MethodPost, "/v1/auth/login", string(body))
	_ = s.say(t, "GET /"+visible+" HTTP/1.1\r\nHost: "+visible+"\r\n\r\n")
	require.Zero(t, s.stop())

	lines := 0
	for line := range strings.Lines(s.logs.String()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
		require.NotEqual(t, "FORGED", fields["message"], line)
		require.NotEqual(t, "FORGED", fields["user.id"], line)
		require.NotContains(t, strings.TrimSuffix(line, "\n"), "\x1b")
		lines++
	}
	require.Greater(t, lines, 14)
}

func requireProblem(t *testing.T, response *http.Response, body []byte, code, pointer string) {
	t.Helper()
	require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))
	p := problemOf(t, body)
	require.Equal(t, code, p.Code)
	require.Equal(t, response.StatusCode, p.Status)
	require.Equal(t, response.Header.Get("X-Request-ID"), p.RequestID)
	if pointer != "" {
		require.Equal(t, pointer, p.Errors[0].Pointer, string(body))
	}
}

func members(n int) string {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":%d`, i, i)
	}
	return b.String()[1:]
}

// Every operation refuses parameters that are none.
func TestHostile_EveryParameter(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin := s.admin(t)
	for path, item := range contract().Paths.Map() {
		for method, operation := range item.Operations() {
			ask := func(path string) (*http.Response, []byte) {
				body := exampleOf(t, operation)
				return admin.send(t, method, path, body, "Idempotency-Key", uuid.NewString())
			}
			if bad := pathParameter.ReplaceAllString(path, "not-a-uuid"); bad != path {
				response, body := ask(bad)
				require.Equal(t, 422, response.StatusCode, "%s %s", method, bad)
				requireProblem(t, response, body, "validation_failed", "/path/"+strings.Trim(pathParameter.FindString(path), "{}"))
			}
			for _, p := range operation.Parameters {
				name, bad, status := p.Value.Name, "%00", 422
				if p.Value.In != "query" || p.Value.Name == "email" || p.Value.Name == "q" || p.Value.Name == "reference" {
					continue
				}
				if name == "cursor" {
					bad, status = "!", 400
				}
				response, body := ask(fill(path, admin.id()) + "?" + name + "=" + bad)
				require.Equal(t, status, response.StatusCode, "%s %s %s: %s", method, path, name, body)
			}
		}
	}
}

var pathParameter = regexp.MustCompile(`\{[a-z_]+\}`)
