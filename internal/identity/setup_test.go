package identity

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/jobs"
	"github.com/authservice/authservice/internal/mailer"
	"github.com/authservice/authservice/internal/pgtest"
	"github.com/authservice/authservice/internal/ratelimit"
	"github.com/authservice/authservice/internal/tokens"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	ada           = "ada@example.com"
	rightPassword = "correct horse battery staple"
	wrongPassword = "correct horse battery stapler"

	tick = time.Microsecond // the smallest step of the database's clock
)

// start is where clocks start: with nanoseconds, which PostgreSQL does not keep.
var start = time.Date(2026, time.March, 4, 5, 6, 7, 123_456_789, time.UTC)

// startStored is start as PostgreSQL keeps it.
var startStored = start.Truncate(tick)

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// bundle is a service on a database of its own.
type bundle struct {
	*Service
	db    *pgtest.Database
	clock *clock
}

func setup(t testing.TB, change ...func(*Options)) *bundle {
	t.Helper()
	b := &bundle{db: pgtest.New(t), clock: &clock{at: start}}
	b.Service = b.replica(t, change...)
	return b
}

// replica is another service on the same database. Its limits are off unless
// change sets them; its jobs wait, until a test does them.
func (b *bundle) replica(t testing.TB, change ...func(*Options)) *Service {
	t.Helper()
	o := Options{
		Passwords: PasswordOptions{Cost: 4}, RefreshKey: bytes.Repeat([]byte{2}, 32), LinkKey: bytes.Repeat([]byte{3}, 32),
		RefreshTokenTTL: 30 * 24 * time.Hour, RefreshGrace: 30 * time.Second, SessionTTL: 90 * 24 * time.Hour, MaxSessions: 20,
		LinkPattern: "https://auth.example.com/{page}#token={token}", ResetTTL: 30 * time.Minute, VerifyTTL: 24 * time.Hour, InvitationTTL: 7 * 24 * time.Hour,
		Now: b.clock.now,
	}
	for _, f := range change {
		f(&o)
	}
	sealer, err := tokens.NewSealer(bytes.Repeat([]byte{1}, 32))
	require.NoError(t, err)
	issuer, err := tokens.Open(t.Context(), b.db.Pool, sealer, tokens.Options{
		Algorithm: "EdDSA", Issuer: "https://auth.example.com", Audience: "test", TTL: 15 * time.Minute, Now: b.clock.now,
	})
	require.NoError(t, err)
	queue, err := jobs.New(b.db.Pool, jobs.Options{})
	require.NoError(t, err)
	mails, err := mailer.New(mailer.Options{
		Host: "127.0.0.1", TLS: "none", From: "Test <no-reply@example.com>", Design: mailer.Design{ProductName: "Test"},
	})
	require.NoError(t, err)
	ledger := creditledger.New(b.db.Pool, creditledger.Options{Now: b.clock.now})
	return New(b.db.Pool, Rooms{
		Tokens: issuer, Audit: audit.New(b.db.Pool, b.clock.now), Jobs: queue, Sealer: sealer, Mailer: mails,
		Limiter: ratelimit.New(b.db.Pool, ratelimit.Options{
			Key: bytes.Repeat([]byte{4}, 32), Enabled: o.Limits != (Limits{}), Now: b.clock.now,
		}),
		UserCreated: ledger.OpenAccount, UserDeleted: ledger.CloseAccount,
	}, o)
}

// register makes an account with rightPassword.
func (b *bundle) register(t testing.TB, email string) Session {
	t.Helper()
	session, err := b.Register(t.Context(), NewUser{Email: email, Password: rightPassword}, Device{})
	require.NoError(t, err)
	require.NotNil(t, session)
	return *session
}

// admin makes an administrator and logs in.
func (b *bundle) admin(t *testing.T) Session {
	t.Helper()
	_, err := b.CreateUser(t.Context(), NewUser{Email: "admin@example.com", Password: rightPassword, Role: RoleAdmin})
	require.NoError(t, err)
	session, err := b.LogIn(t.Context(), "admin@example.com", rightPassword, Device{})
	require.NoError(t, err)
	return session
}

// caller is who shows the session's access token, which must be good.
func (b *bundle) caller(t *testing.T, s Session) Caller {
	t.Helper()
	caller, err := b.AuthenticateToken(t.Context(), s.AccessToken)
	require.NoError(t, err)
	return caller
}

// exec does what no use case does yet.
func (b *bundle) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	tag, err := b.db.Pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected(), sql)
}

func (b *bundle) count(t *testing.T, table string) int {
	t.Helper()
	return one[int](t, b, "SELECT count(*) FROM "+table)
}

// one is the only value of the only row.
func one[T any](t testing.TB, b *bundle, sql string, args ...any) T {
	t.Helper()
	rows, err := b.db.Pool.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return value
}

// together calls f n times at once.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-gate; f(i) })
	}
	close(gate)
	wg.Wait()
}
