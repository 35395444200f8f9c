package ordeal

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

// replicas is how many there are.
const replicas = 2

// newPlayer is one whose accounts have the same ids each time.
func newPlayer(seed uint64, client int) *player {
	id := func(n int) uuid.UUID { return uuid.UUID{15: byte(n)} }
	p := &player{seed: seed, client: client, clock: func() time.Time { return time.Unix(0, 0) }}
	for i := range 4 {
		p.own = append(p.own, &account{id: id(i)})
		p.shared, p.perishable = append(p.shared, id(10+i)), append(p.perishable, id(20+i))
	}
	return p
}

// The same seed draws the same operations, whatever is answered where others have
// a say; another one draws others.
func TestPlayer_Reproducible(t *testing.T) {
	t.Parallel()
	play := func(seed uint64, client int) (all []string) {
		p := newPlayer(seed, client)
		for range 2000 {
			o := p.next()
			all = append(all, fmt.Sprint(o.kind, o.key, o.user, o.to, o.amount, o.held, o.once, o.timeout, o.want != nil))
			if o.applied != nil {
				o.applied(fmt.Appendf(nil, `{"id":%q}`, uuid.New()))
			}
		}
		return all
	}
	once, again := play(1, 3), play(1, 3)
	require.Equal(t, once, again)
	require.NotEqual(t, once, play(2, 3), "another seed")
	require.NotEqual(t, once, play(1, 4), "another client")
}

// All kinds of operations come, and most of them are applied.
func TestPlayer_Varied(t *testing.T) {
	t.Parallel()
	p := newPlayer(1, 1)
	done, refusals, open := map[kind]int{}, 0, 0
	for range 20000 {
		o := p.next()
		done[o.kind]++
		switch {
		case o.want == nil:
			open++
		case o.want.code != "":
			refusals++
		}
		if o.applied != nil {
			o.applied(fmt.Appendf(nil, `{"id":%q}`, uuid.New()))
		}
	}
	for _, k := range []kind{kindGrant, kindDebit, kindHold, kindCapture, kindIncrement, kindVoid, kindReversal, kindTransfer, kindRead} {
		require.Greater(t, done[k], 50, k)
	}
	t.Log(refusals, "refusals")
	require.Greater(t, refusals, 400)
	require.Less(t, refusals, 20000/5)
	require.Greater(t, open, 500)
}

// What is answered otherwise than the client knows it must be is found.
func TestExpected_Judge(t *testing.T) {
	t.Parallel()
	user := uuid.New()
	want := answering(http.StatusCreated, posting{user, authclient.TransactionTypeGrant, 5, 15, 3}, viewPosting)
	body := func(after int64) []byte {
		text, err := json.Marshal(authclient.Transaction{UserID: user, Type: authclient.TransactionTypeGrant, Amount: 5, BalanceAfter: after, Sequence: 3, Burned: []authclient.Burn{}})
		require.NoError(t, err)
		return text
	}
	require.Empty(t, want.judge(201, body(15)))
	require.NotEmpty(t, want.judge(201, body(20)), "as after a duplicate")
	require.NotEmpty(t, want.judge(402, body(15)))
	no := refusal(http.StatusConflict, "hold_not_active")
	require.Empty(t, no.judge(409, []byte(`{"code":"hold_not_active"}`)))
	require.NotEmpty(t, no.judge(409, []byte(`{"code":"already_reversed"}`)))
	require.NotEmpty(t, no.judge(409, []byte(`{`)))
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) (all []fault) {
		for lane, kinds := range [][]string{ofDatabase, ofTheRest} {
			s := newSchedule(seed, uint64(lane), kinds)
			for range 2 * len(kinds) {
				all = append(all, s.next())
			}
		}
		return all
	}
	once, again := draw(7), draw(7)
	require.Equal(t, once, again)
	require.NotEqual(t, once, draw(8))

	kinds := slices.Concat(ofDatabase, ofTheRest)
	require.GreaterOrEqual(t, len(kinds), 20)
	seen := map[string]int{}
	ended := map[int]bool{}
	for _, f := range once {
		seen[f.kind]++
		require.Positive(t, f.lasts)
		require.NotEmpty(t, f.replicas)
		if ends[f.kind] {
			require.Len(t, f.replicas, 1)
			ended[f.replicas[0]] = true
		}
	}
	for _, k := range kinds {
		require.Equal(t, 2, seen[k], "%s, once in each round", k)
	}
	require.Len(t, ended, replicas)
}
