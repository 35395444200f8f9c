package prooftest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/ledgerproof/prooftest"
	"github.com/authservice/authservice/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// fatal notes that a test would have ended.
type fatal struct {
	testing.TB
	said string
}

func (f *fatal) Helper() {}

func (f *fatal) Fatalf(format string, _ ...any) { f.said = format }

func TestRequireSound(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	require.Zero(t, prooftest.RequireSound(t, db.Pool).Accounts)

	owner := db.Owner(t)
	_, err := owner.Exec(t.Context(), `
		INSERT INTO users (id, email, created_at, updated_at) VALUES (gen_random_uuid(), 'ada@example.com', now(), now());
		INSERT INTO credit_accounts (user_id, balance, created_at, updated_at) SELECT id, 1, created_at, created_at FROM users`)
	require.NoError(t, err)
	f := &fatal{TB: t}
	prooftest.RequireSound(f, db.Pool)
	require.Equal(t, "the ledger is broken: %v", f.said)
}
