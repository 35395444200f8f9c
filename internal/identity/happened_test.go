package identity

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/mailer"
)

// happened lists the audit events of one type, oldest first.
func (b *bundle) happened(t *testing.T, what audit.Type) []audit.Event {
	t.Helper()
	events, more, err := b.Audit.List(t.Context(), audit.Filter{Type: (*string)(&what)}, uuid.Max, 200)
	require.NoError(t, err)
	require.False(t, more)
	slices.Reverse(events)
	return events
}

// mailed counts the mails of a kind that wait to be sent.
func (b *bundle) mailed(t *testing.T, kind mailer.Kind) int {
	t.Helper()
	return one[int](t, b, "SELECT count(*) FROM river_job WHERE kind = 'mail' AND args ->> 'template' = $1", string(kind))
}

// meanwhile lets f come as far as the lock on a user, changes that user with
// sql, whose first parameter is the id, and lets f go on.
func (b *bundle) meanwhile(t *testing.T, id uuid.UUID, sql string, f func(), args ...any) {
	t.Helper()
	tx, err := b.db.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM users WHERE id = $1 FOR UPDATE", id)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	require.Eventually(t, func() bool {
		const waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
		return one[int](t, b, waiting) > 0
	}, 20*time.Second, time.Millisecond, "it locks no user")
	tag, err := tx.Exec(t.Context(), sql, append([]any{id}, args...)...)
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
	require.NoError(t, tx.Commit(t.Context()))
	<-done
}

// forbid makes the database refuse rows from now on, as a fault that comes in
// the middle of a transaction.
func (b *bundle) forbid(t *testing.T, table, condition string) {
	t.Helper()
	_, err := b.db.Owner(t).Exec(t.Context(), "ALTER TABLE "+table+" ADD CONSTRAINT forbidden CHECK (NOT ("+condition+")) NOT VALID")
	require.NoError(t, err)
}
