package httpapi

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBody_WellFormed(t *testing.T) {
	t.Parallel()
	for body, good := range map[string]bool{
		`{}`: true, ` [1, "a", null] `: true, `"x"`: true, `5`: true,
		`{"a":{"b":1},"c":{"b":1}}`:                                       true,
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth):     true,
		strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1): false,
		strings.Repeat("[", 60_000):                                       false,
		object(maxMembers):                                                true,
		object(maxMembers + 1):                                            false,
		`{"a":[` + object(maxMembers+1) + `]}`:                            false,
		`{"a":` + object(maxMembers) + `,"b":` + object(maxMembers) + `}`: true,
		`{"a":1,"a":1}`:                                                   false,
		`{"a":1,"\u0061":1}`:                                              false,
		`{"x":{"a":1,"a":2}}`:                                             false,
		`{} {}`:                                                           false, `{}x`: false, `{`: false, `}`: false, ``: false, `{a:1}`: false, `{"a":1,}`: false,
		"{}\v": false, "{}\u00a0": false, "\f{}": false, "{}\r\n\t ": true,
		"\xef\xbb\xbf{}": false, "{\"a\":\"\xff\"}": false, `"\ud800"`: false, `// {}`: false, "{\"a\":\"\n\"}": false,
	} {
		require.Equal(t, good, wellFormed([]byte(body)) == nil, body)
	}
}

// object has so many members.
func object(members int) string {
	var b strings.Builder
	for i := range members {
		b.WriteString(`,"m` + strconv.Itoa(i) + `":[1,2,3]`)
	}
	return "{" + b.String()[1:] + "}"
}

func FuzzBody_WellFormed(f *testing.F) {
	for _, seed := range []string{`{"amount":5}`, `[[]]`, `{"a":1,"a":2}`, `1 2`, "\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if wellFormed(body) == nil {
			// What passes has a fingerprint, and one that spaces do not change.
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			require.Equal(t, fingerprint(r, body), fingerprint(r, append([]byte(" "), body...)))
		}
	})
}

func TestBody_Fingerprint(t *testing.T) {
	t.Parallel()
	of := func(method, path, body string) [32]byte {
		return fingerprint(httptest.NewRequest(method, path, nil), []byte(body))
	}
	one := of("POST", "/a", `{"amount":5,"metadata":{"x":1,"y":[1,2]}}`)
	for _, same := range []string{
		"{\n \"amount\" : 5, \"metadata\": { \"x\":1, \"y\" : [ 1, 2 ] } }",
		`{"metadata":{"y":[1,2],"x":1},"amount":5}`,
		`{"\u0061mount":5,"metadata":{"x":1,"y":[1,2]}}`,
	} {
		require.Equal(t, one, of("POST", "/a", same), same)
	}
	for _, other := range [][3]string{
		{"PUT", "/a", `{"amount":5,"metadata":{"x":1,"y":[1,2]}}`},
		{"POST", "/b", `{"amount":5,"metadata":{"x":1,"y":[1,2]}}`},
		{"POST", "/a", `{"amount":6,"metadata":{"x":1,"y":[1,2]}}`},
		{"POST", "/a", `{"amount":5,"metadata":{"x":1,"y":[2,1]}}`},
		{"POST", "/a", `{"amount":"5","metadata":{"x":1,"y":[1,2]}}`},
		{"POST", "/a", `{"amount":5}`},
	} {
		require.NotEqual(t, one, of(other[0], other[1], other[2]), other)
	}
	require.NotEqual(t, of("POST", "/", `9007199254740993`), of("POST", "/", `9007199254740992`), "numbers are not rounded")
}
