package ratelimit_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/ratelimit"
)

// So many at once, and then one more after each wait, which is exact.
func TestLimiter_Take(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		rate ratelimit.Rate
		cost time.Duration // in which one attempt comes back
	}{
		"One":        {ratelimit.Rate{Attempts: 1, Span: time.Second}, time.Second},
		"Default":    {ratelimit.Rate{Attempts: 10, Span: 15 * time.Minute}, 90 * time.Second},
		"Quick":      {ratelimit.Rate{Attempts: 30, Span: time.Minute}, 2 * time.Second},
		"NotEven":    {ratelimit.Rate{Attempts: 3, Span: time.Second}, 333_333 * time.Microsecond},
		"Rounded":    {ratelimit.Rate{Attempts: 50, Span: 1049 * time.Microsecond}, 20 * time.Microsecond}, // 49 left over are more than two attempts
		"TooQuick":   {ratelimit.Rate{Attempts: 20, Span: 5 * time.Microsecond}, time.Microsecond},
		"Nanosecond": {ratelimit.Rate{Attempts: 4, Span: time.Second + 3*time.Nanosecond}, 250 * time.Millisecond},
		"Longest":    {ratelimit.Rate{Attempts: 2, Span: 31 * 24 * time.Hour}, 31 * 12 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &bundle{db: b.db, clock: &clock{at: b.clock.Now().Add(123 * time.Nanosecond)}}
			b.limiter = ratelimit.New(b.db.Pool, b.options())
			l := ratelimit.Limit{Action: "login", Of: name, Rate: c.rate}

			allowed, wait := b.burst(t, l)
			require.Equal(t, c.rate.Attempts, allowed)
			require.Equal(t, c.cost, wait)
			for range 5 {
				require.Equal(t, c.cost, b.take(t, l), "a refused attempt costs nothing")
			}

			// It comes back evenly: after each wait one, and only one.
			for range 3 {
				b.clock.Advance(c.cost - time.Microsecond)
				require.Equal(t, time.Microsecond, b.take(t, l))
				b.clock.Advance(time.Microsecond)
				require.Zero(t, b.take(t, l))
				require.Equal(t, c.cost, b.take(t, l))
			}
			if c.cost > time.Microsecond {
				b.clock.Advance(c.cost / 4)
				require.Equal(t, c.cost-(c.cost/4).Truncate(time.Microsecond), b.take(t, l))
			}

			// And no more than all of it.
			b.clock.Advance(100 * c.rate.Span)
			allowed, wait = b.burst(t, l)
			require.Equal(t, c.rate.Attempts, allowed)
			require.Equal(t, c.cost, wait)
		})
	}
}

// Half of the allowance used is half of the time until it is full again.
func TestLimiter_PartlyUsed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l := ratelimit.Limit{Action: "login", Rate: ratelimit.Rate{Attempts: 10, Span: 10 * time.Minute}}
	for range 6 {
		require.Zero(t, b.take(t, l))
	}
	b.clock.Advance(2*time.Minute + 30*time.Second) // 2 and a half came back
	allowed, wait := b.burst(t, l)
	require.Equal(t, 6, allowed)
	require.Equal(t, 30*time.Second, wait)
}

// The clocks of replicas differ. One that is behind takes nothing back.
func TestLimiter_ClockGoesBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l := ratelimit.Limit{Action: "login", Rate: ratelimit.Rate{Attempts: 2, Span: 10 * time.Minute}}
	_, wait := b.burst(t, l)
	require.Equal(t, 5*time.Minute, wait)
	b.clock.Advance(-time.Second)
	require.Equal(t, 5*time.Minute+time.Second, b.take(t, l))
	b.clock.Advance(time.Second)
	require.Equal(t, 5*time.Minute, b.take(t, l))
}

func TestLimiter_SeveralAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rate := func(attempts int) ratelimit.Rate { return ratelimit.Rate{Attempts: attempts, Span: time.Hour} }
	limits := []ratelimit.Limit{
		{Action: "address", Of: "192.0.2.7", Rate: rate(4)},
		{Action: "pair", Of: "192.0.2.7 a@example.com", Rate: rate(2)},
		{Action: "account", Of: "a@example.com", Rate: rate(3)},
	}
	const address, pair, account = 15 * time.Minute, 30 * time.Minute, 20 * time.Minute
	for i, want := range [][]time.Duration{
		{0, 0, 0},
		{0, 0, 0},
		{0, pair, 0}, // each is judged, and used, on its own
		{0, pair, account},
		{address, pair, account},
	} {
		got, err := b.limiter.Take(t.Context(), limits...)
		require.NoError(t, err)
		require.Equal(t, want, got, "attempt %d", i+1)
	}
	// The waits are in the order of the limits, whatever the order of the rows.
	got, err := b.limiter.Take(t.Context(), limits[2], limits[0], limits[1])
	require.NoError(t, err)
	require.Equal(t, []time.Duration{account, address, pair}, got)

	b.clock.Advance(20 * time.Minute)
	got, err = b.limiter.Take(t.Context(), limits...)
	require.NoError(t, err)
	require.Equal(t, []time.Duration{0, 10 * time.Minute, 0}, got)

	got, err = b.limiter.Take(t.Context())
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestLimiter_GiveBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l := ratelimit.Limit{Action: "login", Of: "a", Rate: ratelimit.Rate{Attempts: 3, Span: time.Hour}}
	other := ratelimit.Limit{Action: "login", Of: "b", Rate: ratelimit.Rate{Attempts: 1, Span: time.Hour}}
	give := func(limits ...ratelimit.Limit) {
		t.Helper()
		require.NoError(t, b.limiter.GiveBack(t.Context(), limits...))
	}
	b.burst(t, l)
	b.burst(t, other)

	give(l)
	require.Zero(t, b.take(t, l))
	require.Equal(t, 20*time.Minute, b.take(t, l), "one, and no more")
	require.Equal(t, time.Hour, b.take(t, other), "another limit is left alone")

	give(other, l)
	require.Zero(t, b.take(t, l))
	require.Zero(t, b.take(t, other))

	b.clock.Advance(5 * time.Minute)
	give(l, l) // twice in one call is once
	require.Zero(t, b.take(t, l))
	require.Equal(t, 15*time.Minute, b.take(t, l), "the time that has passed counts as well")

	// What was never taken is not given either, and does not count for the future.
	unknown := ratelimit.Limit{Action: "login", Of: "c", Rate: l.Rate}
	give(unknown)
	give()
	allowed, _ := b.burst(t, unknown)
	require.Equal(t, 3, allowed)
	b.clock.Advance(2 * time.Hour)
	give(l)
	allowed, _ = b.burst(t, l)
	require.Equal(t, 3, allowed, "never more than all of it")
}

// Who changes a setting changes what is allowed from now on; what was used stays used.
func TestLimiter_RateChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		used  int
		to    ratelimit.Rate
		burst int
		wait  time.Duration // after the burst
	}{ // from 10 in 10 minutes
		"Same":                {10, ratelimit.Rate{Attempts: 10, Span: 10 * time.Minute}, 0, time.Minute},
		"More":                {10, ratelimit.Rate{Attempts: 20, Span: 10 * time.Minute}, 0, 30 * time.Second},
		"MoreOfHalf":          {5, ratelimit.Rate{Attempts: 20, Span: 10 * time.Minute}, 10, 30 * time.Second},
		"Fewer":               {10, ratelimit.Rate{Attempts: 2, Span: 10 * time.Minute}, 0, 5 * time.Minute},
		"FewerOfHalf":         {5, ratelimit.Rate{Attempts: 2, Span: 10 * time.Minute}, 1, 5 * time.Minute},
		"LongerSpan":          {10, ratelimit.Rate{Attempts: 10, Span: 20 * time.Minute}, 5, 2 * time.Minute},
		"ShorterSpan":         {10, ratelimit.Rate{Attempts: 10, Span: time.Minute}, 0, 9*time.Minute + 6*time.Second},
		"ShorterSpanOfLittle": {1, ratelimit.Rate{Attempts: 1, Span: time.Minute}, 0, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &bundle{db: b.db, clock: &clock{at: b.clock.Now()}}
			b.limiter = ratelimit.New(b.db.Pool, b.options())
			l := ratelimit.Limit{Action: "login", Of: name, Rate: ratelimit.Rate{Attempts: 10, Span: 10 * time.Minute}}
			for range c.used {
				require.Zero(t, b.take(t, l))
			}
			l.Rate = c.to
			allowed, wait := b.burst(t, l)
			require.Equal(t, c.burst, allowed)
			require.Equal(t, c.wait, wait)

			b.clock.Advance(wait - time.Microsecond)
			require.Equal(t, time.Microsecond, b.take(t, l))
			b.clock.Advance(time.Microsecond)
			require.Zero(t, b.take(t, l), "the wait is exact all the same")
		})
	}
}

func TestLimiter_Disabled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	on := b.limiter
	o := b.options()
	o.Enabled = false
	b.limiter = ratelimit.New(b.db.Pool, o)
	l := ratelimit.Limit{Action: "login", Of: "a", Rate: ratelimit.Rate{Attempts: 1, Span: time.Hour}}
	for range 5 {
		waits, err := b.limiter.Take(t.Context(), l, l)
		require.NoError(t, err)
		require.Equal(t, []time.Duration{0, 0}, waits)
	}
	require.Zero(t, b.rows(t), "nor is anything counted")

	off := b.limiter
	b.limiter = on
	require.Zero(t, b.take(t, l))
	require.NoError(t, off.GiveBack(t.Context(), l))
	require.Equal(t, time.Hour, b.take(t, l), "nor given back")
}

// What is limited is the action and whose it is, under the service's own key.
func TestLimiter_Keys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rate := ratelimit.Rate{Attempts: 1, Span: time.Hour}
	first := ratelimit.Limit{Action: "ab", Of: "c", Rate: rate}
	require.Zero(t, b.take(t, first))
	for _, l := range []ratelimit.Limit{{Action: "ab", Of: "d"}, {Action: "aB", Of: "c"}, {Action: "a", Of: "bc"}, {Action: "abc"}, {Of: "abc"}, {}} {
		l.Rate = rate
		require.Zero(t, b.take(t, l), "%q of %q", l.Action, l.Of)
	}
	o := b.options()
	o.Key = []byte("another key")
	waits, err := ratelimit.New(b.db.Pool, o).Take(t.Context(), first)
	require.NoError(t, err)
	require.Equal(t, []time.Duration{0}, waits)

	require.Equal(t, time.Hour, b.take(t, first))
}

// Who reads the table learns of nobody, not even by guessing addresses.
func TestLimiter_TableNamesNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ofs := []string{ratelimit.Address(netip.MustParseAddr("203.0.113.77")), ratelimit.Address(netip.MustParseAddr("2001:db8:1:2::3")), "grace@example.com"}
	for _, of := range ofs {
		require.Zero(t, b.take(t, ratelimit.Limit{Action: "login", Of: of, Rate: ratelimit.Rate{Attempts: 1, Span: time.Hour}}))
	}
	rows, err := b.db.Pool.Query(t.Context(), "SELECT r::text FROM rate_limits r")
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Len(t, all, len(ofs))
	dump := fmt.Sprint(all)
	for _, of := range append(ofs, "203.0.113", "2001:db8", "example", "login") {
		require.NotContains(t, dump, of)
		require.NotContains(t, dump, hex.EncodeToString([]byte(of)))
		for _, plain := range []string{of, "login\x00" + of} {
			hash := sha256.Sum256([]byte(plain))
			require.NotContains(t, dump, hex.EncodeToString(hash[:8]))
		}
	}
}

func TestLimiter_CleanUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rate := ratelimit.Rate{Attempts: 10, Span: 10 * time.Minute}
	used := ratelimit.Limit{Action: "login", Of: "used up", Rate: rate}
	once := ratelimit.Limit{Action: "login", Of: "once", Rate: rate}
	b.burst(t, used)
	require.Zero(t, b.take(t, once))
	// More than two of its pages.
	_, err := b.db.Pool.Exec(t.Context(), `
		INSERT INTO rate_limits (key, attempted_at, tat, span, allowed)
		SELECT int4send(n), $1, $1::timestamptz + interval '1 second', '1 minute', n % 2 = 0 FROM generate_series(1, 2500) n`, b.clock.Now())
	require.NoError(t, err)

	require.NoError(t, b.limiter.CleanUp(t.Context()))
	require.Equal(t, 2502, b.rows(t), "all of them still say something")

	b.clock.Advance(time.Minute - time.Microsecond)
	require.NoError(t, b.limiter.CleanUp(t.Context()))
	require.Equal(t, 2, b.rows(t))

	b.clock.Advance(2 * time.Microsecond)
	require.NoError(t, b.limiter.CleanUp(t.Context()))
	require.Equal(t, 1, b.rows(t), "what one attempt used is back")
	allowed, wait := b.burst(t, used)
	require.Equal(t, 1, allowed, "as if nothing had been cleaned up")
	require.Equal(t, time.Minute-time.Microsecond, wait)
	allowed, _ = b.burst(t, once)
	require.Equal(t, 10, allowed)

	b.clock.Advance(time.Hour)
	atOnce(4, func(int) { require.NoError(t, b.limiter.CleanUp(t.Context())) })
	require.Zero(t, b.rows(t))
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"192.0.2.7":                     "192.0.2.7",
		"::ffff:192.0.2.7":              "192.0.2.7",
		"::ffff:192.0.2.7%eth0":         "192.0.2.7",
		"2001:db8:1:2:3:4:5:6":          "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff:ffff:ffff:1": "2001:db8:1:2::/64",
		"2001:db8:1:3::":                "2001:db8:1:3::/64",
		"fe80::1%eth0":                  "fe80::/64",
		"fe80::2%eth1":                  "fe80::/64",
		"::1":                           "::/64",
	} {
		t.Run(ip, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, ratelimit.Address(netip.MustParseAddr(ip)))
		})
	}
	require.NotPanics(t, func() { ratelimit.Address(netip.Addr{}) }, "nobody knows the address of a Unix socket")
}

// Whoever listens is told of each limit that an attempt is beyond, and only then.
func TestLimiter_Exceeded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.options()
	var exceeded []string
	o.Exceeded = func(action string) { exceeded = append(exceeded, action) }
	b.limiter = ratelimit.New(b.db.Pool, o)
	low := ratelimit.Limit{Action: "low", Of: "a", Rate: ratelimit.Rate{Attempts: 1, Span: time.Hour}}
	high := ratelimit.Limit{Action: "high", Of: "a", Rate: ratelimit.Rate{Attempts: 3, Span: time.Hour}}
	for range 2 {
		_, err := b.limiter.Take(t.Context(), low, high)
		require.NoError(t, err)
	}
	require.Equal(t, []string{"low"}, exceeded)
	for range 2 {
		_, err := b.limiter.Take(t.Context(), low, high)
		require.NoError(t, err)
	}
	require.ElementsMatch(t, []string{"low", "low", "low", "high"}, exceeded)
}
