//go:build faults

package ordeal

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

// Whatever must not be answered is noted, and what may be is not.
func TestOrdeal_Answers(t *testing.T) {
	t.Parallel()
	unavailable := func(w http.ResponseWriter, _ *operation) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = json.NewEncoder(w).Encode(authclient.Problem{Code: "unavailable"})
	}
	granted := func(extra int64, header ...string) func(http.ResponseWriter, *operation) {
		return func(w http.ResponseWriter, o *operation) {
			for _, h := range header {
				w.Header().Set(h, "true")
			}
			w.WriteHeader(http.StatusCreated)
			_ = json.NewEncoder(w).Encode(authclient.Transaction{
				ID: uuid.New(), UserID: o.user, Type: authclient.TransactionTypeGrant, Amount: o.amount, BalanceAfter: o.amount + extra, Sequence: 1,
			})
		}
	}
	status := func(code int) func(http.ResponseWriter, *operation) {
		return func(w http.ResponseWriter, _ *operation) { w.WriteHeader(code) }
	}
	hangUp := func(http.ResponseWriter, *operation) { panic(http.ErrAbortHandler) }
	for name, test := range map[string]struct {
		answers []func(http.ResponseWriter, *operation)
		want    [3]int64 // violations, retries, found to be done when asked again
	}{
		"AtOnce":            {[]func(http.ResponseWriter, *operation){granted(0)}, [3]int64{}},
		"Unavailable":       {[]func(http.ResponseWriter, *operation){unavailable, unavailable, granted(0)}, [3]int64{0, 2, 0}},
		"LostAndDone":       {[]func(http.ResponseWriter, *operation){hangUp, granted(0, "Idempotent-Replayed")}, [3]int64{0, 1, 1}},
		"Internal":          {[]func(http.ResponseWriter, *operation){status(500), granted(0)}, [3]int64{1, 1, 0}},
		"OfAGateway":        {[]func(http.ResponseWriter, *operation){status(502), granted(0)}, [3]int64{1, 1, 0}},
		"WithoutRetryAfter": {[]func(http.ResponseWriter, *operation){status(503), granted(0)}, [3]int64{1, 1, 0}},
		"Twice":             {[]func(http.ResponseWriter, *operation){hangUp, granted(100)}, [3]int64{1, 1, 0}},
		"Refused":           {[]func(http.ResponseWriter, *operation){status(402)}, [3]int64{1, 0, 0}},
		"Unauthenticated":   {[]func(http.ResponseWriter, *operation){status(401)}, [3]int64{1, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlayer(1, 1)
			o := (&draw{Rand: nil, player: p, key: "k"}).granting(p.own[0], 7)
			o.timeout = patience
			answers := test.answers
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				next := answers[0]
				answers = answers[1:]
				next(w, o)
			}))
			t.Cleanup(server.Close)
			var s score
			c := newClient(p, &s, server.URL, "")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c.do(ctx, o)
			require.Equal(t, test.want, [3]int64{int64(len(s.violations)), s.retries.Load(), s.replayed.Load()}, "%v", s.violations)
			require.Empty(t, answers)
		})
	}
}
