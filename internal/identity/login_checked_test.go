package identity

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
)

func (b *bundle) storedHash(t *testing.T, email string) string {
	t.Helper()
	return one[string](t, b, "SELECT password_hash FROM users WHERE email = $1", email)
}

func (b *bundle) storeHash(t testing.TB, email, hash string) {
	t.Helper()
	b.exec(t, "UPDATE users SET password_hash = $1 WHERE email = $2", hash, email)
}

// What verifies but is not what would be stored today is replaced at login.
func TestIdentity_LogIn_Upgrade(t *testing.T) {
	t.Parallel()
	for name, stored := range map[string]string{
		"2a":            imported2a,
		"2b":            imported2b,
		"2y":            imported2y,
		"2bOtherCost":   importedTwo,
		"NoPepper":      hashOf(t, cheap(nil), rightPassword),
		"OtherPepper":   hashOf(t, cheap(otherPepper), rightPassword),
		"Costlier":      hashOf(t, newHasher(PasswordOptions{Cost: 5, Pepper: somePepper}), rightPassword),
		"CostlierOther": hashOf(t, newHasher(PasswordOptions{Cost: 6, Pepper: otherPepper}), rightPassword),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(o *Options) {
				o.Passwords.Pepper, o.Passwords.PreviousPeppers = somePepper, [][]byte{otherPepper}
			})
			b.register(t, ada)
			b.register(t, "bob@example.com")
			bobs := b.storedHash(t, "bob@example.com")
			b.storeHash(t, ada, stored)

			_, err := b.LogIn(t.Context(), ada, wrongPassword, Device{})
			require.Equal(t, ErrInvalidCredentials, err)
			require.Equal(t, stored, b.storedHash(t, ada), "the password was wrong")

			_, err = b.LogIn(t.Context(), ada, rightPassword, Device{})
			require.NoError(t, err)
			upgraded := b.storedHash(t, ada)
			requireVerdict(t, matches, b.hasher, upgraded, rightPassword)
			requireVerdict(t, differs, b.hasher, upgraded, wrongPassword)
			require.Empty(t, b.happened(t, audit.PasswordChange), "the password is the same")

			_, err = b.LogIn(t.Context(), ada, rightPassword, Device{})
			require.NoError(t, err)
			require.Equal(t, upgraded, b.storedHash(t, ada), "it is good as it is")
			require.Equal(t, bobs, b.storedHash(t, "bob@example.com"))
		})
	}
	t.Run("OnlyWithTheSession", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.register(t, ada)
		b.storeHash(t, ada, imported2b)
		b.forbid(t, "sessions", "ended_at IS NULL")
		_, err := b.LogIn(t.Context(), ada, rightPassword, Device{})
		require.Equal(t, apperr.Internal, apperr.From(err).Kind)
		require.Equal(t, imported2b, b.storedHash(t, ada))
	})
	t.Run("ManyAtOnce", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(o *Options) { o.Passwords.Queue = 100 })
		b.register(t, ada)
		b.storeHash(t, ada, imported2b)
		errs := make([]error, 20)
		together(len(errs), func(i int) { _, errs[i] = b.LogIn(t.Context(), ada, rightPassword, Device{}) })
		for _, err := range errs {
			require.NoError(t, err)
		}
		requireVerdict(t, matches, b.hasher, b.storedHash(t, ada), rightPassword)
	})
}

// Checking a password takes long. What happens to the user meanwhile counts.
func TestIdentity_LogIn_Meanwhile(t *testing.T) {
	t.Parallel()
	const newPassword = "a new password, quite another"
	changed := hashOf(t, cheap(nil), newPassword)
	for name, test := range map[string]struct {
		stored string // empty for an up-to-date one
		sql    string
		args   []any
		want   error
	}{
		"Suspended":              {"", "UPDATE users SET status = 'suspended' WHERE id = $1", nil, ErrInvalidCredentials},
		"SuspendedWithOldHash":   {imported2b, "UPDATE users SET status = 'suspended' WHERE id = $1", nil, ErrInvalidCredentials},
		"PasswordChanged":        {"", "UPDATE users SET password_hash = $2 WHERE id = $1", []any{changed}, ErrInvalidCredentials},
		"PasswordChangedFromOld": {imported2b, "UPDATE users SET password_hash = $2 WHERE id = $1", []any{changed}, ErrInvalidCredentials},
		"SomethingElse":          {"", "UPDATE users SET name = $2 WHERE id = $1", []any{"Ada"}, nil},
		"Deleted": {"", `UPDATE users SET email = NULL, email_verified = false, name = '', metadata = '{}', password_hash = NULL,
			last_login_at = NULL, deleted_at = now() WHERE id = $1`, nil, ErrInvalidCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			id := b.register(t, ada).User.ID
			if test.stored != "" {
				b.storeHash(t, ada, test.stored)
			}
			before := b.count(t, "sessions")
			var session Session
			var err error
			b.meanwhile(t, id, test.sql, func() { session, err = b.LogIn(t.Context(), ada, rightPassword, Device{}) }, test.args...)

			if test.want == nil {
				require.NoError(t, err)
				b.caller(t, session)
				return
			}
			require.Equal(t, test.want, err)
			require.Zero(t, session)
			require.Equal(t, before, b.count(t, "sessions"))
			if len(test.args) > 0 {
				require.Equal(t, changed, b.storedHash(t, ada), "the change wins")
				_, err = b.LogIn(t.Context(), ada, newPassword, Device{})
				require.NoError(t, err)
			}
		})
	}
}

func TestIdentity_LogIn_Suspension(t *testing.T) {
	t.Parallel()
	b := setup(t)
	user := b.register(t, ada).User
	until := startStored.Add(time.Hour)
	_, err := b.Suspend(t.Context(), Caller{}, user.ID, "spam", &until)
	require.NoError(t, err)

	b.clock.advance(time.Hour - tick)
	_, err = b.LogIn(t.Context(), ada, wrongPassword, Device{})
	require.Equal(t, ErrInvalidCredentials, err, "not before the password is proven")
	_, err = b.LogIn(t.Context(), ada, rightPassword, Device{})
	require.Equal(t, ErrAccountSuspended, err)

	b.clock.advance(tick)
	session, err := b.LogIn(t.Context(), ada, rightPassword, Device{})
	require.NoError(t, err, "it is over, and no clean-up was needed")
	require.Equal(t, StatusActive, session.User.Status)
	require.Nil(t, session.User.Suspension)
	b.caller(t, session)
	b.refresh(t, session.RefreshToken)
}

func TestIdentity_LogIn_Unverified(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.RequireVerifiedEmail = true })
	for email, verified := range map[string]bool{ada: false, "bob@example.com": true} {
		_, err := b.CreateUser(t.Context(), NewUser{Email: email, EmailVerified: verified, Password: rightPassword, Role: RoleUser})
		require.NoError(t, err)
	}
	_, err := b.LogIn(t.Context(), ada, wrongPassword, Device{})
	require.Equal(t, ErrInvalidCredentials, err, "not before the password is proven")
	_, err = b.LogIn(t.Context(), ada, rightPassword, Device{})
	require.Equal(t, ErrEmailNotVerified, err)
	require.Zero(t, b.count(t, "sessions"))
	_, err = b.LogIn(t.Context(), "bob@example.com", rightPassword, Device{})
	require.NoError(t, err)

	_, err = b.replica(t).LogIn(t.Context(), ada, rightPassword, Device{})
	require.NoError(t, err, "where it need not be verified")
}

func TestIdentity_LogIn_Events(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.RequireVerifiedEmail = true })
	ids := map[string]uuid.UUID{}
	for _, n := range []NewUser{{Email: ada, EmailVerified: true}, {Email: "suspended@example.com", EmailVerified: true}, {Email: "unverified@example.com"}} {
		n.Password, n.Role = rightPassword, RoleUser
		user, err := b.CreateUser(t.Context(), n)
		require.NoError(t, err)
		ids[n.Email] = user.ID
	}
	_, err := b.Suspend(t.Context(), Caller{}, ids["suspended@example.com"], "spam", nil)
	require.NoError(t, err)

	ctx := audit.WithSource(t.Context(), audit.Source{
		Actor: audit.Anonymous, RequestID: "request-1", IP: netip.MustParseAddr("192.0.2.1"), UserAgent: "curl/8",
	})
	type event struct {
		Actor           audit.Actor
		Target          audit.Target
		Details         string
		RequestID, From string
	}
	told := func(e audit.Event) event {
		return event{e.Actor, e.Target, string(e.Details), e.RequestID, e.IP.String() + " " + e.UserAgent}
	}
	failed := func(email, reason string) event {
		e := event{Actor: audit.Anonymous, Details: `{"reason":"` + reason + `"}`, RequestID: "request-1", From: "192.0.2.1 curl/8"}
		if id, known := ids[email]; known {
			e.Target = audit.OnUser(id)
		}
		return e
	}

	var want []event
	for _, test := range []struct{ email, password, reason string }{
		{ada, wrongPassword, "wrong_credentials"},
		{"nobody@example.com", rightPassword, "wrong_credentials"},
		{"no address", rightPassword, "wrong_credentials"},
		{"suspended@example.com", wrongPassword, "wrong_credentials"},
		{"suspended@example.com", rightPassword, "suspended"},
		{"unverified@example.com", wrongPassword, "wrong_credentials"},
		{"unverified@example.com", rightPassword, "email_not_verified"},
	} {
		_, err := b.LogIn(ctx, test.email, test.password, Device{})
		require.Error(t, err)
		want = append(want, failed(test.email, test.reason))
		b.clock.advance(time.Second)
	}
	var got []event
	for _, e := range b.happened(t, audit.LoginFail) {
		got = append(got, told(e))
	}
	require.Empty(t, cmp.Diff(want, got))
	require.Empty(t, b.happened(t, audit.LoginSuccess))

	session, err := b.LogIn(ctx, ada, rightPassword, Device{})
	require.NoError(t, err)
	succeeded := b.happened(t, audit.LoginSuccess)
	require.Len(t, succeeded, 1)
	require.Empty(t, cmp.Diff(event{
		audit.User(ids[ada]), audit.OnUser(ids[ada]), `{"session_id":"` + b.caller(t, session).SessionID.String() + `"}`, "request-1", "192.0.2.1 curl/8",
	}, told(succeeded[0])))

	// No event holds what was typed, be it an address or a password.
	for column, values := range b.cells(t) {
		if !strings.HasPrefix(column, "audit_event") {
			continue
		}
		for _, value := range values {
			for _, secret := range []string{"example.com", "no address", rightPassword, session.AccessToken, session.RefreshToken} {
				require.NotContains(t, string(value), secret, column)
			}
		}
	}
}
