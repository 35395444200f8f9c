package audit_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/audit"
)

// Neither the service nor the tables' owner changes what happened.
func TestEvents_AreImmutable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record(t, audit.User(uuid.New()), audit.LoginSuccess, audit.Target{})
	b.record(t, audit.Anonymous, audit.LoginFail, audit.Target{})
	before := b.all(t, audit.Filter{})
	owner := b.db.Owner(t)
	for _, sql := range []string{
		"UPDATE audit_events SET type = 'user_created'",
		"UPDATE audit_events SET details = details",
		"UPDATE audit_events SET actor_id = NULL, actor_type = 'system' WHERE actor_type = 'user'",
		"UPDATE audit_events SET type = 'x' WHERE false",
		"INSERT INTO audit_events SELECT * FROM audit_events ON CONFLICT (id) DO UPDATE SET type = 'x'",
		"DELETE FROM audit_events",
		"DELETE FROM audit_events WHERE type = 'authn_login_fail'",
		"TRUNCATE audit_events CASCADE", // without the word, the foreign key forbids it
	} {
		var refused *pgconn.PgError
		_, err := b.db.Pool.Exec(t.Context(), sql)
		require.ErrorAs(t, err, &refused, sql)
		require.Equal(t, "42501", refused.Code, "the service has no right to: %s", sql)

		_, err = owner.Exec(t.Context(), sql)
		require.ErrorContains(t, err, "audit_events refused: what happened is never changed", sql)
	}
	for _, sql := range []string{
		"UPDATE audit_event_clients SET ip = '192.0.2.1'",
		"TRUNCATE audit_event_clients",
		"ALTER TABLE audit_events DISABLE TRIGGER audit_events_immutable",
		"DROP TABLE audit_event_clients",
	} {
		var refused *pgconn.PgError
		_, err := b.db.Pool.Exec(t.Context(), sql)
		require.ErrorAs(t, err, &refused, sql)
		require.Equal(t, "42501", refused.Code, sql)
	}
	require.Equal(t, before, b.all(t, audit.Filter{}))
}
