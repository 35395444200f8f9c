package ratelimit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgdb"
)

// Rate is how much is allowed: so many attempts at once, and as many again,
// evenly, in each span.
type Rate struct {
	Attempts int
	Span     time.Duration
}

// cost is the time in which the allowance for one attempt comes back.
func (r Rate) cost() time.Duration {
	return max(time.Microsecond, (r.Span / time.Duration(r.Attempts)).Truncate(time.Microsecond))
}

// window is the time in which all of it does: Span but for what cost rounds
// off, which would add up to attempts too many at once.
func (r Rate) window() time.Duration { return time.Duration(r.Attempts) * r.cost() }

// Limit is one thing that is limited: an action, and whose.
type Limit struct {
	Action string
	Of     string // an address, an account, …
	Rate   Rate
}

// Address is a client address as limits count it: of IPv6 the /64, which is
// what one customer is given (RFC 6177).
func Address(ip netip.Addr) string {
	ip = ip.Unmap()
	if ip.Is6() {
		prefix, _ := ip.Prefix(64) // fails only for lengths beyond the address
		return prefix.String()
	}
	return ip.String()
}

// Options of a Limiter.
type Options struct {
	Key     []byte // keys the hashes under which limits are stored
	Enabled bool   // false allows everything
	Now     func() time.Time
	// Exceeded hears the action of each limit that an attempt is beyond; nil for nobody.
	Exceeded func(action string)
}

// Limiter counts attempts.
type Limiter struct {
	pool *pgxpool.Pool
	q    *dbgen.Queries
	o    Options
}

// New returns a limiter on a migrated database.
func New(pool *pgxpool.Pool, o Options) *Limiter { return &Limiter{pool: pool, q: dbgen.New(), o: o} }

// Take makes one attempt on each limit, and returns for each how long to wait
// until an attempt is within it: 0 for those that this one is. Attempts beyond
// a limit do not count, so that waiting so long is enough.
func (l *Limiter) Take(ctx context.Context, limits ...Limit) ([]time.Duration, error) {
	waits := make([]time.Duration, len(limits))
	if !l.o.Enabled {
		return waits, nil
	}
	now := l.o.Now().UTC().Truncate(time.Microsecond)
	take := dbgen.RateLimitTakeParams{Now: now}
	index := make(map[string]int, len(limits))
	for i, limit := range limits {
		key := l.key(limit)
		index[string(key)] = i
		take.Keys = append(take.Keys, key)
		take.Costs = append(take.Costs, limit.Rate.cost().Microseconds())
		take.Spans = append(take.Spans, limit.Rate.window().Microseconds())
	}
	rows, err := l.q.RateLimitTake(ctx, l.pool, take)
	if err != nil {
		return nil, pgdb.Classify(err)
	}
	for _, row := range rows {
		if i := index[string(row.Key)]; !row.Allowed {
			rate := limits[i].Rate
			waits[i] = max(time.Microsecond, row.Tat.Add(rate.cost()-rate.window()).Sub(now))
			if l.o.Exceeded != nil {
				l.o.Exceeded(limits[i].Action)
			}
		}
	}
	return waits, nil
}

// GiveBack undoes an attempt that was within its limits, because it turned out
// to be none that should count.
func (l *Limiter) GiveBack(ctx context.Context, limits ...Limit) error {
	if !l.o.Enabled {
		return nil
	}
	var back dbgen.RateLimitGiveBackParams
	for _, limit := range limits {
		back.Keys = append(back.Keys, l.key(limit))
		back.Costs = append(back.Costs, limit.Rate.cost().Microseconds())
	}
	return pgdb.Classify(l.q.RateLimitGiveBack(ctx, l.pool, back))
}

// cleanUpPage is how many rows one statement of CleanUp removes.
const cleanUpPage = 1000

// CleanUp removes what says nothing any more.
func (l *Limiter) CleanUp(ctx context.Context) error {
	for {
		deleted, err := l.q.RateLimitDeleteFull(ctx, l.pool, dbgen.RateLimitDeleteFullParams{Now: l.o.Now(), PageSize: cleanUpPage})
		if err != nil || deleted < cleanUpPage {
			return pgdb.Classify(err)
		}
	}
}

// key names a limit without naming anybody.
func (l *Limiter) key(limit Limit) []byte {
	mac := hmac.New(sha256.New, l.o.Key)
	mac.Write([]byte(limit.Action + "\x00" + limit.Of))
	return mac.Sum(nil)[:16]
}
