package tokens

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	issuer   = "https://auth.example.com"
	audience = "test"
	ttl      = 15 * time.Minute
)

// start is where clocks start; tokens keep whole seconds only.
var start = time.Date(2026, time.March, 4, 5, 6, 7, 123_456_789, time.UTC)

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

func setup(t testing.TB, algorithm string) *bundle {
	t.Helper()
	b := &bundle{db: pgtest.New(t), clock: &clock{at: start}}
	b.Service = b.replica(t, algorithm)
	return b
}

// replica is another service on the same database.
func (b *bundle) replica(t testing.TB, algorithm string) *Service {
	t.Helper()
	s, err := b.open(t, algorithm, encryptionKey)
	require.NoError(t, err)
	return s
}

var encryptionKey = bytes.Repeat([]byte{1}, 32)

func (b *bundle) open(t testing.TB, algorithm string, encryptionKey []byte) (*Service, error) {
	t.Helper()
	return Open(t.Context(), b.db.Pool, newSealer(t, encryptionKey), Options{
		Algorithm: algorithm, Issuer: issuer, Audience: audience, TTL: ttl, Now: b.clock.now,
	})
}

func newSealer(t testing.TB, encryptionKey []byte) *Sealer {
	t.Helper()
	sealer, err := NewSealer(encryptionKey)
	require.NoError(t, err)
	return sealer
}

var subject = Subject{
	UserID:    uuid.MustParse("019ab5c3-8e21-7d05-b7c2-4f6e8a1b3c5d"),
	SessionID: uuid.MustParse("019ab5c3-8e22-7a11-8f00-0123456789ab"),
	Role:      "admin",
	Scopes:    []string{"credits:read", "users:write"},
}

// issue makes a token about subject.
func issue(t testing.TB, s *Service) string {
	t.Helper()
	token, err := s.Issue(subject)
	require.NoError(t, err)
	return token
}
