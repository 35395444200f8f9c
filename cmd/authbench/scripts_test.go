package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func testBench() *bench {
	return &bench{target: &target{apiKey: "ask_1_2", endpoint: endpoint{host: "example.com"}}}
}

func TestRefreshing_FollowsItsToken(t *testing.T) {
	t.Parallel()
	s := &session{refresh: "art_" + strings.Repeat("a", 43), access: "old"}
	r := testBench().refreshes([]*session{s})(0)
	next := "art_" + strings.Repeat("b", 43)
	require.Contains(t, string(r.next()), s.refresh)

	r.answered(answer{status: 503, body: []byte(`{"code":"unavailable"}`)})
	require.Contains(t, string(r.next()), "art_aaa", "a refused exchange is tried again")
	require.Equal(t, "old", s.access)

	r.answered(answer{status: 200, body: fmt.Appendf(nil, `{"access_token":"new","refresh_token":"%s"}`, next)})
	require.Contains(t, string(r.next()), next)
	require.Equal(t, session{refresh: next, access: "new"}, *s)
}

func TestHolding_CapturesWhatItPlaced(t *testing.T) {
	t.Parallel()
	user, hold := uuid.New(), uuid.New()
	h := testBench().holds([]uuid.UUID{user})(0)
	placing := "POST /v1/users/" + user.String() + "/credits/holds "
	require.Contains(t, string(h.next()), placing)
	h.answered(answer{status: 503, body: []byte(`{}`)})
	require.Contains(t, string(h.next()), placing, "nothing was placed")
	h.answered(answer{status: 201, body: fmt.Appendf(nil, `{"user_id":"%s","id":"%s"}`, user, hold)})
	require.Contains(t, string(h.next()), "POST /v1/credits/holds/"+hold.String()+"/capture ")
	h.answered(answer{status: 200, body: fmt.Appendf(nil, `{"id":"%s"}`, hold)})
	require.Contains(t, string(h.next()), placing)
}

func TestMixture_KeepsItsShares(t *testing.T) {
	t.Parallel()
	var share float64
	for _, part := range mixed {
		share += part.share
	}
	require.InEpsilon(t, 1, share, 1e-9)

	m := &mixture{random: newRandom()}
	for i, share := range []float64{0.7, 0.2, 0.1} {
		m.scripts = append(m.scripts, &spread{request: newRequest(endpoint{}, "GET", fmt.Sprint("/", i), "")})
		m.shares = append(m.shares, share)
	}
	drawn := map[int]int{}
	for range 10_000 {
		m.next()
		drawn[m.drawn]++
	}
	require.InDelta(t, 7000, drawn[0], 500)
	require.InDelta(t, 2000, drawn[1], 500)
	require.InDelta(t, 1000, drawn[2], 500)
}
