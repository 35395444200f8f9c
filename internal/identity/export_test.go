package identity

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/tokens"
)

func TestIdentity_ExportOf(t *testing.T) {
	t.Parallel()

	t.Run("Everything", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, device := requestFrom(t, audit.Anonymous, "203.0.113.9", "Firefox")
		_, err := b.CreateUser(t.Context(), NewUser{Email: ada, Password: rightPassword, Name: "Ada", Role: RoleAdmin})
		require.NoError(t, err)
		var sessions []Session // newest first
		for range 3 {
			session, err := b.LogIn(t.Context(), ada, rightPassword, device)
			require.NoError(t, err)
			sessions = append([]Session{session}, sessions...)
		}
		id := sessions[0].User.ID
		_, err = b.UpdateMe(t.Context(), id, UserChange{Metadata: []byte(`{"plan":"pro"}`)})
		require.NoError(t, err)
		require.NoError(t, b.LogOut(t.Context(), b.caller(t, sessions[2])))
		var keys []uuid.UUID // newest first
		for range 2 {
			key, _ := b.createKey(t, func(n *NewAPIKey) { n.CreatedBy = id })
			keys = append([]uuid.UUID{key.ID}, keys...)
		}
		require.NoError(t, b.DeleteAPIKey(t.Context(), keys[0]))

		// What is others' is not in it.
		_, err = b.LogIn(t.Context(), b.account(t, "bob@example.com", true).Email, rightPassword, device)
		require.NoError(t, err)
		b.createKey(t)

		export, err := b.ExportOf(t.Context(), id)
		require.NoError(t, err)
		me, err := b.Me(t.Context(), id)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(me, export.User))
		require.JSONEq(t, `{"plan":"pro"}`, string(export.User.Metadata))
		require.Len(t, export.Sessions, 3)
		for i, info := range export.Sessions {
			require.Equal(t, b.sessionID(t, sessions[i]), info.ID)
			require.Equal(t, device.IP, info.IP)
			require.Equal(t, device.UserAgent, info.UserAgent)
			require.Equal(t, startStored, info.CreatedAt)
			require.Equal(t, i == 2, info.EndedAt != nil, "ended ones are in it too")
		}
		require.Equal(t, "logout", *export.Sessions[2].EndReason)
		require.Len(t, export.APIKeys, 2, "deleted ones are in it too")
		for i, key := range export.APIKeys {
			require.Equal(t, keys[i], key.ID)
			require.Equal(t, "backend", key.Name)
		}
	})
	t.Run("Nothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		user := b.account(t, ada, true)
		export, err := b.ExportOf(t.Context(), user.ID)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(Export{User: user}, export))
	})
	t.Run("Gone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		user := b.account(t, ada, true)
		b.clock.advance(time.Minute)
		require.NoError(t, b.DeleteUser(t.Context(), Caller{}, user.ID))
		for _, id := range []uuid.UUID{user.ID, uuid.New()} {
			export, err := b.ExportOf(t.Context(), id)
			require.Equal(t, tokens.ErrInvalid, err)
			require.Zero(t, export)
		}
	})
}

// sessionID is the session that an access token names, alive or not.
func (b *bundle) sessionID(t *testing.T, s Session) uuid.UUID {
	t.Helper()
	subject, err := b.Tokens.Verify(t.Context(), s.AccessToken)
	require.NoError(t, err)
	return subject.SessionID
}
