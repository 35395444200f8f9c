package identity

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
)

// resetToken asks for a link to reset ada's password and takes it from the mail.
func (p *postal) resetToken(t *testing.T) string {
	t.Helper()
	p.ask(t, askedToReset, ada)
	return p.newestToken(t)
}

func (b *bundle) requireReset(t *testing.T, want error, token string) {
	t.Helper()
	require.Equal(t, want, b.ResetPassword(t.Context(), token, anotherPassword, Device{}))
}

// requirePassword checks which of the two passwords is ada's.
func (b *bundle) requirePassword(t *testing.T, right, wrong string) Session {
	t.Helper()
	_, err := b.LogIn(t.Context(), ada, wrong, Device{})
	require.Equal(t, ErrInvalidCredentials, err)
	session, err := b.LogIn(t.Context(), ada, right, Device{})
	require.NoError(t, err)
	return session
}

func TestIdentity_ResetPassword(t *testing.T) {
	t.Parallel()

	t.Run("Works", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		first := p.register(t, ada)
		second := p.requirePassword(t, rightPassword, wrongPassword)
		bob := p.register(t, "bob@example.com")
		p.post(t)
		require.False(t, first.User.EmailVerified)
		token := p.resetToken(t)

		source := audit.Source{Actor: audit.Anonymous, RequestID: "request-1", IP: netip.MustParseAddr("203.0.113.9")}
		device := Device{IP: source.IP, UserAgent: "Firefox"}
		require.NoError(t, p.ResetPassword(audit.WithSource(t.Context(), source), token, anotherPassword, device))

		p.requireEnded(t, first, second)
		p.caller(t, bob)
		session := p.requirePassword(t, anotherPassword, rightPassword)
		require.True(t, session.User.EmailVerified, "the link went to the address")
		require.Contains(t, p.requirePost(t, "password_changed "+ada)[0].Text, "203.0.113.9")
		p.requireReset(t, ErrInvalidToken, token)

		self, on := audit.User(first.User.ID), audit.OnUser(first.User.ID)
		for what, details := range map[audit.Type]string{
			audit.PasswordChange: `{"reason":"password_reset"}`, audit.EmailVerified: `{}`,
		} {
			events := p.happened(t, what)
			require.Len(t, events, 1, what)
			require.Equal(t, self, events[0].Actor)
			require.Equal(t, on, events[0].Target)
			require.Equal(t, "request-1", events[0].RequestID)
			require.JSONEq(t, details, string(events[0].Details))
		}
		ended := p.happened(t, audit.SessionExpired)
		require.Len(t, ended, 2)
		for _, event := range ended {
			require.Equal(t, self, event.Actor)
			endedSession(t, event, "password_reset")
		}
		require.Equal(t, []string{"password_reset"}, column[string](t, p.bundle, "SELECT DISTINCT end_reason FROM sessions WHERE ended_at IS NOT NULL"))
	})

	t.Run("VerifiesOnce", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.account(t, ada, true)
		p.requireReset(t, nil, p.resetToken(t))
		require.Empty(t, p.happened(t, audit.EmailVerified), "it was verified before")
	})

	t.Run("OnceOf100AtOnce", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t, func(o *Options) { o.Passwords.Queue = 200 })
		p.account(t, ada, true)
		token := p.resetToken(t)
		var worked atomic.Int32
		together(100, func(int) {
			if err := p.ResetPassword(t.Context(), token, anotherPassword, Device{}); err == nil {
				worked.Add(1)
			} else {
				require.Equal(t, ErrInvalidToken, err)
			}
		})
		require.EqualValues(t, 1, worked.Load())
		require.Len(t, p.happened(t, audit.PasswordChange), 1)
		p.requirePost(t, "password_changed "+ada)
	})

	t.Run("OlderOnesAreVoid", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.account(t, ada, true)
		old := p.resetToken(t)
		newer := p.resetToken(t)
		require.NotEqual(t, old, newer)
		p.requireReset(t, ErrInvalidToken, old)
		p.requireReset(t, nil, newer)
	})

	t.Run("Expires", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.account(t, ada, true)
		token := p.resetToken(t)
		p.clock.advance(30 * time.Minute)
		p.requireReset(t, ErrInvalidToken, token)
		p.clock.advance(-tick)
		p.requireReset(t, nil, token)
	})

	// An expiry between the two looks at the link counts too.
	t.Run("ExpiresMeanwhile", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		user := p.account(t, ada, true)
		token := p.resetToken(t)
		p.meanwhile(t, user.ID, "UPDATE one_time_tokens SET expires_at = created_at WHERE user_id = $1", func() {
			p.requireReset(t, ErrInvalidToken, token)
		})
		p.requirePassword(t, rightPassword, anotherPassword)
	})

	t.Run("AddressChangedMeanwhile", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		user := p.account(t, ada, true)
		token := p.resetToken(t)
		p.exec(t, "UPDATE users SET email = 'countess@example.com' WHERE id = $1", user.ID)
		p.requireReset(t, ErrInvalidToken, token)
		_, err := p.LogIn(t.Context(), "countess@example.com", rightPassword, Device{})
		require.NoError(t, err)
	})

	t.Run("WrongPurpose", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		session := p.register(t, ada)
		require.NoError(t, p.ChangeEmail(t.Context(), p.caller(t, session), "countess@example.com", rightPassword, Device{}))
		arrived := p.requirePost(t, "verify_email "+ada, "confirm_email_change countess@example.com")
		for _, l := range arrived {
			p.requireReset(t, ErrInvalidToken, l.token(t))
		}
		p.requirePassword(t, rightPassword, anotherPassword)
		require.NoError(t, p.VerifyEmail(t.Context(), arrived[0].token(t), Device{}), "it was not used up")
	})

	t.Run("NoToken", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.account(t, ada, true)
		token := p.resetToken(t)
		for _, wrong := range []string{
			"", " ", "aset_", token[:len(token)-1], token + "A", token + " ", strings.ToUpper(token), strings.TrimPrefix(token, "aset_"),
			strings.Replace(token, "aset_", "avet_", 1), string(hashToken(token)), "\x00", "\xff",
		} {
			p.requireReset(t, ErrInvalidToken, wrong)
		}
		p.requireReset(t, nil, token)
	})

	t.Run("InvalidPasswordLeavesTheLink", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		user := p.account(t, "ada.lovelace@example.com", true)
		_, err := p.UpdateMe(t.Context(), user.ID, UserChange{Name: new("Countess of Lovelace")})
		require.NoError(t, err)
		p.ask(t, askedToReset, user.Email)
		token := p.requirePost(t, "reset_password "+user.Email)[0].token(t)
		for _, bad := range []string{"", "short", strings.Repeat("x", 257), "password1", "Ada.Lovelace@example.com", "countess of lovelace"} {
			refusal := apperr.From(p.ResetPassword(t.Context(), token, bad, Device{}))
			require.Equal(t, apperr.Invalid, refusal.Kind, bad)
			require.Equal(t, "/new_password", refusal.Fields[0].Pointer)
		}
		p.requireReset(t, nil, token)
	})

	t.Run("DoesNotLetTheSuspendedIn", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		user := p.account(t, ada, true)
		token := p.resetToken(t)
		_, err := p.Suspend(t.Context(), Caller{}, user.ID, "spam", nil)
		require.NoError(t, err)
		p.requireReset(t, nil, token)
		_, err = p.LogIn(t.Context(), ada, anotherPassword, Device{})
		require.Equal(t, ErrAccountSuspended, err)
		require.Equal(t, StatusSuspended, one[string](t, p.bundle, "SELECT status FROM users"))
	})

	t.Run("DeletedMeanwhile", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		user := p.account(t, ada, true)
		token := p.resetToken(t)
		p.meanwhile(t, user.ID, "UPDATE users SET email = NULL, password_hash = NULL, deleted_at = now() WHERE id = $1", func() {
			p.requireReset(t, ErrInvalidToken, token)
		})
		p.requireReset(t, ErrInvalidToken, token)
	})
}

// Who takes an account back must not lose it to what was asked for before.
func TestIdentity_NewPasswordVoidsLinks(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(*testing.T, *postal, Session){
		"Reset": func(t *testing.T, p *postal, _ Session) { p.requireReset(t, nil, p.resetToken(t)) },
		"Change": func(t *testing.T, p *postal, s Session) {
			require.NoError(t, p.ChangePassword(t.Context(), p.caller(t, s), rightPassword, anotherPassword, Device{}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := setupPostal(t)
			session := p.register(t, ada)
			p.post(t)
			require.NoError(t, p.ChangeEmail(t.Context(), p.caller(t, session), "mallory@example.com", rightPassword, Device{}))
			change := p.requirePost(t, "confirm_email_change mallory@example.com")[0].token(t)
			reset := p.resetToken(t)
			replace(t, p, session)
			p.requireReset(t, ErrInvalidToken, reset)
			require.Equal(t, ErrInvalidToken, p.VerifyEmail(t.Context(), change, Device{}))
			p.requirePassword(t, anotherPassword, rightPassword)
		})
	}
}

func TestIdentity_Invite(t *testing.T) {
	t.Parallel()

	t.Run("IsTakenUp", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t, verifyMode)
		admin := p.caller(t, p.verifiedAdmin(t))
		ctx := audit.WithSource(t.Context(), audit.Source{Actor: audit.User(admin.UserID)})
		p.clock.advance(time.Minute)
		user, err := p.Invite(ctx, admin, NewUser{Email: "ADA@example.com", Name: "Ada", Role: RoleUser})
		require.NoError(t, err)
		require.Equal(t, ada, user.Email)
		require.Equal(t, "Ada", user.Name)
		require.False(t, user.EmailVerified)
		for _, password := range []string{"", rightPassword} {
			_, err = p.LogIn(t.Context(), ada, password, Device{})
			require.Equal(t, ErrInvalidCredentials, err, "there is no password yet")
		}
		events := p.happened(t, audit.UserCreated)
		event := events[len(events)-1]
		require.Equal(t, audit.User(admin.UserID), event.Actor)
		require.Equal(t, audit.OnUser(user.ID), event.Target)
		require.JSONEq(t, `{"role":"user"}`, string(event.Details))

		invitation := p.requirePost(t, "invitation "+ada)[0]
		require.Contains(t, invitation.Text, "7 days")
		p.clock.advance(7*24*time.Hour - tick)
		p.requireReset(t, nil, invitation.token(t))
		require.True(t, p.requirePassword(t, anotherPassword, rightPassword).User.EmailVerified)
		p.requirePost(t) // nothing was replaced
		p.requireReset(t, ErrInvalidToken, invitation.token(t))
	})

	t.Run("Expires", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		user, err := p.Invite(t.Context(), Caller{}, NewUser{Email: ada, Role: RoleUser})
		require.NoError(t, err)
		old := p.requirePost(t, "invitation "+ada)[0].token(t)
		p.clock.advance(7 * 24 * time.Hour)
		p.requireReset(t, ErrInvalidToken, old)

		require.NoError(t, p.SendPasswordReset(t.Context(), Caller{}, user.ID))
		p.requireReset(t, nil, p.requirePost(t, "invitation "+ada)[0].token(t))
	})

	t.Run("TheirOwnResetWorksToo", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		_, err := p.Invite(t.Context(), Caller{}, NewUser{Email: ada, Role: RoleUser})
		require.NoError(t, err)
		invitation := p.requirePost(t, "invitation "+ada)[0].token(t)
		token := p.resetToken(t)
		p.requireReset(t, ErrInvalidToken, invitation)
		p.requireReset(t, nil, token)
	})

	t.Run("Refused", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.account(t, ada, true)
		for name, c := range map[string]struct {
			n    NewUser
			want error
		}{
			"Taken":   {NewUser{Email: "ADA@EXAMPLE.com", Role: RoleUser}, ErrEmailTaken},
			"Address": {NewUser{Email: "bob", Role: RoleUser}, ErrInvalidEmail},
		} {
			_, err := p.Invite(t.Context(), Caller{Role: RoleAdmin}, c.n)
			require.Equal(t, c.want, err, name)
		}
		_, err := p.Invite(t.Context(), Caller{Role: RoleAdmin}, NewUser{Email: "bob@example.com", Name: "Bob\n", Role: RoleUser})
		require.Equal(t, "/name", apperr.From(err).Fields[0].Pointer)
		p.requirePost(t)
		require.Equal(t, 1, p.count(t, "users"))
	})
}

// verifiedAdmin makes an administrator whose address is verified, and logs in.
func (b *bundle) verifiedAdmin(t *testing.T) Session {
	t.Helper()
	_, err := b.CreateUser(t.Context(), NewUser{Email: "admin@example.com", EmailVerified: true, Password: rightPassword, Role: RoleAdmin})
	require.NoError(t, err)
	session, err := b.LogIn(t.Context(), "admin@example.com", rightPassword, Device{})
	require.NoError(t, err)
	return session
}

func TestIdentity_SendPasswordReset(t *testing.T) {
	t.Parallel()
	p := setupPostal(t)
	admin := p.caller(t, p.admin(t))
	user := p.account(t, ada, true)
	ctx := audit.WithSource(t.Context(), audit.Source{Actor: audit.User(admin.UserID)})
	require.NoError(t, p.SendPasswordReset(ctx, admin, user.ID))
	events := p.happened(t, audit.PasswordResetRequested)
	require.Len(t, events, 1)
	require.Equal(t, audit.User(admin.UserID), events[0].Actor)
	require.Equal(t, audit.OnUser(user.ID), events[0].Target)
	p.requirePassword(t, rightPassword, anotherPassword)
	p.requireReset(t, nil, p.requirePost(t, "reset_password "+ada)[0].token(t))
	p.requirePassword(t, anotherPassword, rightPassword)
}
