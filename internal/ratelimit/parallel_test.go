package ratelimit_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/ratelimit"
)

// Two replicas, one limit: together they allow what one would.
func TestLimiter_ReplicasCountTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	replicas := [2]*ratelimit.Limiter{b.limiter, b.replica(t)}
	for round, attempts := range []int{1, 20, 199} {
		l := ratelimit.Limit{Action: "login", Of: fmt.Sprint(round), Rate: ratelimit.Rate{Attempts: attempts, Span: time.Hour}}
		const n = 200
		waits, errs := make([][]time.Duration, n), make([]error, n)
		atOnce(n, func(i int) { waits[i], errs[i] = replicas[i%2].Take(t.Context(), l) })
		require.NoError(t, errors.Join(errs...))

		allowed := 0
		for _, wait := range waits {
			if wait[0] == 0 {
				allowed++
				continue
			}
			require.Equal(t, (time.Hour / time.Duration(attempts)).Truncate(time.Microsecond), wait[0])
		}
		require.Equal(t, attempts, allowed)
	}
}

// Attempts share limits and name them in any order. None waits for one that
// waits for it, and every one is counted.
func TestLimiter_OverlappingSets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	replicas := [2]*ratelimit.Limiter{b.limiter, b.replica(t)}
	const keys, clients, rounds, attempts = 12, 40, 12, 100
	for round := range 3 { // each on keys that have no row yet
		limits := make([]ratelimit.Limit, keys)
		for i := range limits {
			limits[i] = ratelimit.Limit{Action: fmt.Sprint(round), Of: fmt.Sprint(i), Rate: ratelimit.Rate{Attempts: attempts, Span: time.Hour}}
		}
		var tried, allowed [keys]atomic.Int64
		errs := make([]error, clients)
		atOnce(clients, func(client int) {
			rnd := rand.New(rand.NewPCG(uint64(round), uint64(client)))
			for range rounds {
				order := rnd.Perm(keys)[:1+rnd.IntN(keys)]
				set := make([]ratelimit.Limit, len(order))
				for i, k := range order {
					set[i] = limits[k]
				}
				waits, err := replicas[client%2].Take(t.Context(), set...)
				errs[client] = errors.Join(errs[client], err)
				for i, wait := range waits {
					tried[order[i]].Add(1)
					if wait == 0 {
						allowed[order[i]].Add(1)
					}
				}
			}
		})
		require.NoError(t, errors.Join(errs...))
		for i := range limits {
			require.Greater(t, tried[i].Load(), int64(attempts))
			require.Equal(t, int64(attempts), allowed[i].Load())
		}
	}
}

// What is taken and given back at once, in any order, leaves all of the allowance.
func TestLimiter_GiveBackAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	replicas := [2]*ratelimit.Limiter{b.limiter, b.replica(t)}
	const keys, clients, rounds = 6, 24, 8
	limits := make([]ratelimit.Limit, keys)
	for i := range limits {
		limits[i] = ratelimit.Limit{Of: fmt.Sprint(i), Rate: ratelimit.Rate{Attempts: clients, Span: time.Hour}}
	}
	errs := make([]error, clients)
	atOnce(clients, func(client int) {
		rnd := rand.New(rand.NewPCG(7, uint64(client)))
		for range rounds {
			set := make([]ratelimit.Limit, keys)
			for i, k := range rnd.Perm(keys) {
				set[i] = limits[k]
			}
			waits, err := replicas[client%2].Take(t.Context(), set...)
			for _, wait := range waits {
				if wait != 0 {
					err = errors.Join(err, fmt.Errorf("refused for %v", wait))
				}
			}
			rnd.Shuffle(keys, func(i, j int) { set[i], set[j] = set[j], set[i] })
			errs[client] = errors.Join(errs[client], err, replicas[client%2].GiveBack(t.Context(), set...), replicas[client%2].CleanUp(t.Context()))
		}
	})
	require.NoError(t, errors.Join(errs...))
	for _, l := range limits {
		allowed, _ := b.burst(t, l)
		require.Equal(t, clients, allowed)
	}
}
