package identity

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/tokens"
)

func TestIdentity_AuthenticateToken(t *testing.T) {
	t.Parallel()

	t.Run("User", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		session := b.register(t, ada)
		got := b.caller(t, session)
		want := Caller{UserID: session.User.ID, SessionID: one[uuid.UUID](t, b, "SELECT id FROM sessions"), Role: RoleUser}
		require.Empty(t, cmp.Diff(want, got))
	})
	t.Run("AdminCarriesEveryScope", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		got := b.caller(t, b.admin(t))
		require.True(t, got.IsAdmin())
		require.Equal(t, Scopes, got.Scopes)
	})
	t.Run("DemotionHoldsAtOnce", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		session := b.admin(t)
		b.exec(t, "UPDATE users SET role = 'user'")
		got := b.caller(t, session)
		require.Equal(t, RoleUser, got.Role)
		require.Empty(t, got.Scopes)
	})
	t.Run("PromotionHoldsAtOnce", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		session := b.register(t, ada)
		b.exec(t, "UPDATE users SET role = 'admin'")
		require.Equal(t, Scopes, b.caller(t, session).Scopes)
	})
	t.Run("ReplicasAgree", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		session := b.register(t, ada)
		other := b.replica(t)
		got, err := other.AuthenticateToken(t.Context(), session.AccessToken)
		require.NoError(t, err)
		require.NoError(t, b.LogOut(t.Context(), got))
		_, err = other.AuthenticateToken(t.Context(), session.AccessToken)
		require.Equal(t, tokens.ErrInvalid, err)
	})
}

// The signature is good, but who is behind it may not come in any more.
func TestIdentity_AuthenticateToken_Refused(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(*testing.T, *bundle, Caller){
		"LoggedOut": func(t *testing.T, b *bundle, c Caller) {
			t.Helper()
			require.NoError(t, b.LogOut(t.Context(), c))
		},
		"Suspended": func(t *testing.T, b *bundle, c Caller) {
			t.Helper()
			b.exec(t, "UPDATE users SET status = 'suspended' WHERE id = $1", c.UserID)
		},
		"UserDeleted": func(t *testing.T, b *bundle, c Caller) {
			t.Helper()
			require.NoError(t, b.DeleteUser(t.Context(), Caller{}, c.UserID))
		},
		"SessionExpired": func(t *testing.T, b *bundle, _ Caller) {
			t.Helper()
			b.clock.advance(10 * time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(o *Options) { o.SessionTTL, o.RefreshTokenTTL = 10*time.Minute, 10*time.Minute })
			session := b.register(t, ada)
			bob := b.register(t, "bob@example.com")
			happens(t, b, b.caller(t, session))

			got, err := b.AuthenticateToken(t.Context(), session.AccessToken)
			require.Equal(t, tokens.ErrInvalid, err)
			require.Zero(t, got)
			if name != "SessionExpired" {
				b.caller(t, bob)
			}
		})
	}
	t.Run("Expired", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		session := b.register(t, ada)
		b.clock.advance(15 * time.Minute)
		_, err := b.AuthenticateToken(t.Context(), session.AccessToken)
		require.ErrorIs(t, err, tokens.ErrInvalid)
	})
	t.Run("SessionOfAnother", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		mine, theirs := b.caller(t, b.register(t, ada)), b.caller(t, b.register(t, "bob@example.com"))
		for _, subject := range []tokens.Subject{
			{UserID: mine.UserID, SessionID: theirs.SessionID},
			{UserID: mine.UserID, SessionID: uuid.Must(uuid.NewV7())},
			{UserID: uuid.Must(uuid.NewV7()), SessionID: mine.SessionID},
		} {
			token, err := b.Tokens.Issue(subject)
			require.NoError(t, err)
			_, err = b.AuthenticateToken(t.Context(), token)
			require.Equal(t, tokens.ErrInvalid, err)
		}
	})
	t.Run("OtherService", func(t *testing.T) {
		t.Parallel()
		b, other := setup(t), setup(t)
		_, err := b.AuthenticateToken(t.Context(), other.register(t, ada).AccessToken)
		require.ErrorIs(t, err, tokens.ErrInvalid)
	})
	t.Run("RefreshToken", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.AuthenticateToken(t.Context(), b.register(t, ada).RefreshToken)
		require.ErrorIs(t, err, tokens.ErrInvalid)
	})
}

func TestIdentity_LogOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.register(t, ada)
	second, err := b.LogIn(t.Context(), ada, rightPassword, Device{})
	require.NoError(t, err)
	caller := b.caller(t, first)

	require.NoError(t, b.LogOut(t.Context(), caller))
	b.clock.advance(time.Minute)
	require.NoError(t, b.LogOut(t.Context(), caller), "again")
	require.NoError(t, b.LogOut(t.Context(), Caller{UserID: caller.UserID, SessionID: uuid.Must(uuid.NewV7())}), "of no session")

	require.Equal(t, startStored, one[time.Time](t, b, "SELECT ended_at FROM sessions WHERE end_reason = 'logout'"), "the first time counts")
	b.requireEnded(t, first)
	b.caller(t, second)
	b.refresh(t, second.RefreshToken)
}

func TestIdentity_Caller(t *testing.T) {
	t.Parallel()
	id := uuid.Must(uuid.NewV7())
	for name, test := range map[string]struct {
		caller       Caller
		isKey, admin bool
		reads        bool
	}{
		"Nobody":   {Caller{}, false, false, false},
		"User":     {Caller{UserID: id, Role: RoleUser, Scopes: scopesOf(RoleUser)}, false, false, false},
		"Admin":    {Caller{UserID: id, Role: RoleAdmin, Scopes: scopesOf(RoleAdmin)}, false, true, true},
		"Key":      {Caller{APIKeyID: id, Scopes: []string{"credits:read"}}, true, false, true},
		"OtherKey": {Caller{APIKeyID: id, Scopes: []string{"credits:grant", "credits:read ", "credits:"}}, true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.isKey, test.caller.IsKey())
			require.Equal(t, test.admin, test.caller.IsAdmin())
			require.Equal(t, test.reads, test.caller.Has("credits:read"))
		})
	}
}
