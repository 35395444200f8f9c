package identity

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/audit"
)

func (b *bundle) requireVerify(t *testing.T, want error, token string) {
	t.Helper()
	require.Equal(t, want, b.VerifyEmail(t.Context(), token, Device{}))
}

// verifyToken asks for a link to verify ada's address and takes it from the mail.
func (p *postal) verifyToken(t *testing.T) string {
	t.Helper()
	p.ask(t, askedToVerify, ada)
	arrived := p.requirePost(t, "verify_email "+ada)
	return arrived[0].token(t)
}

func TestIdentity_VerifyEmail(t *testing.T) {
	t.Parallel()

	t.Run("Works", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		session := p.register(t, ada)
		token := p.requirePost(t, "verify_email "+ada)[0].token(t)
		p.clock.advance(24*time.Hour - tick)
		before := one[string](t, p.bundle, "SELECT password_hash FROM users")
		p.requireVerify(t, nil, token)
		require.True(t, p.refresh(t, session.RefreshToken).User.EmailVerified, "nobody is logged out")
		require.Equal(t, before, one[string](t, p.bundle, "SELECT password_hash FROM users"))
		p.requirePost(t, "welcome "+ada)
		events := p.happened(t, audit.EmailVerified)
		require.Len(t, events, 1)
		require.Equal(t, audit.User(session.User.ID), events[0].Actor)
		require.Equal(t, audit.OnUser(session.User.ID), events[0].Target)
		p.requireVerify(t, ErrInvalidToken, token)
	})

	t.Run("OnceOf100AtOnce", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.account(t, ada, false)
		token := p.verifyToken(t)
		var worked atomic.Int32
		together(100, func(int) {
			if err := p.VerifyEmail(t.Context(), token, Device{}); err == nil {
				worked.Add(1)
			} else {
				require.Equal(t, ErrInvalidToken, err)
			}
		})
		require.EqualValues(t, 1, worked.Load())
		require.Len(t, p.happened(t, audit.EmailVerified), 1)
		p.requirePost(t, "welcome "+ada)
	})

	t.Run("OlderOnesAreVoid", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.register(t, ada)
		old := p.requirePost(t, "verify_email "+ada)[0].token(t)
		newer := p.verifyToken(t)
		p.requireVerify(t, ErrInvalidToken, old)
		p.requireVerify(t, nil, newer)
	})

	t.Run("Expires", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.account(t, ada, false)
		token := p.verifyToken(t)
		p.clock.advance(24 * time.Hour)
		p.requireVerify(t, ErrInvalidToken, token)
	})

	t.Run("WrongPurpose", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.account(t, ada, false)
		token := p.resetToken(t)
		p.requireVerify(t, ErrInvalidToken, token)
		require.False(t, one[bool](t, p.bundle, "SELECT email_verified FROM users"))
		p.requireReset(t, nil, token)
	})

	t.Run("AddressChangedMeanwhile", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		user := p.account(t, ada, false)
		token := p.verifyToken(t)
		p.exec(t, "UPDATE users SET email = 'countess@example.com' WHERE id = $1", user.ID)
		p.requireVerify(t, ErrInvalidToken, token)
		require.False(t, one[bool](t, p.bundle, "SELECT email_verified FROM users"), "nobody has shown that the new address is theirs")
		require.Equal(t, "countess@example.com", one[string](t, p.bundle, "SELECT email FROM users"))
	})

	// Setting a password by mail has verified the address before.
	t.Run("VerifiedMeanwhile", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.account(t, ada, false)
		token := p.verifyToken(t)
		p.requireReset(t, nil, p.resetToken(t))
		p.post(t)
		p.requireVerify(t, nil, token)
		p.requirePost(t) // no second welcome
		require.Len(t, p.happened(t, audit.EmailVerified), 1)
	})

	t.Run("DoesNotLetTheSuspendedIn", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t, verifyMode)
		user := p.account(t, ada, false)
		token := p.verifyToken(t)
		_, err := p.Suspend(t.Context(), Caller{}, user.ID, "spam", nil)
		require.NoError(t, err)
		p.requireVerify(t, nil, token)
		_, err = p.LogIn(t.Context(), ada, rightPassword, Device{})
		require.Equal(t, ErrAccountSuspended, err)
	})
}

// Where addresses must be verified, nobody comes in before.
func TestIdentity_VerifyMode(t *testing.T) {
	t.Parallel()

	t.Run("RegisterVerifyLogIn", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t, verifyMode)
		session, err := p.Register(t.Context(), NewUser{Email: ada, Password: rightPassword, Name: "Ada", Role: RoleAdmin, EmailVerified: true}, Device{})
		require.NoError(t, err)
		require.Nil(t, session)
		require.Zero(t, p.count(t, "users"), "the job makes the account")

		token := p.requirePost(t, "verify_email "+ada)[0].token(t)
		_, err = p.LogIn(t.Context(), ada, wrongPassword, Device{})
		require.Equal(t, ErrInvalidCredentials, err)
		_, err = p.LogIn(t.Context(), ada, rightPassword, Device{})
		require.Equal(t, ErrEmailNotVerified, err)
		require.Zero(t, p.count(t, "sessions"))

		p.requireVerify(t, nil, token)
		got, err := p.LogIn(t.Context(), ada, rightPassword, Device{})
		require.NoError(t, err)
		require.Equal(t, "Ada", got.User.Name)
		require.Equal(t, RoleUser, got.User.Role)
	})

	t.Run("TheJobTwice", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t, verifyMode)
		p.ask(t, askedToRegister, ada)
		job := work[Asked](t, p.bundle)[0]
		require.NoError(t, p.Answer(t.Context(), job))
		first := work[Mail](t, p.bundle)[0]
		require.NoError(t, p.Answer(t.Context(), job))
		requireMoot(t, p.SendMail(t.Context(), first))
		p.requireVerify(t, nil, p.requirePost(t, "verify_email "+ada)[0].token(t))
		p.post(t)
		require.NoError(t, p.Answer(t.Context(), job), "and once more, late")
		p.requirePost(t, "account_exists "+ada)
		require.Len(t, p.happened(t, audit.UserCreated), 1)
		require.Equal(t, 1, p.count(t, "credit_accounts"))
		p.requirePassword(t, rightPassword, anotherPassword)
	})

	t.Run("ManyAtOnceMakeOneAccount", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t, verifyMode)
		for i := range 40 {
			p.ask(t, askedToRegister, variants[i%len(variants)])
		}
		waiting := work[Asked](t, p.bundle)
		require.Len(t, waiting, 40)
		together(len(waiting), func(i int) { require.NoError(t, p.Answer(t.Context(), waiting[i])) })
		require.Equal(t, 1, p.count(t, "users"))
		require.Equal(t, 1, p.count(t, "credit_accounts"))
		require.Len(t, p.happened(t, audit.UserCreated), 1)
	})

	// Whoever registers an account again may be somebody else, whose link its
	// owner would open.
	t.Run("AnExistingPasswordStays", func(t *testing.T) {
		t.Parallel()
		for name, verified := range map[string]bool{"Verified": true, "Unverified": false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := setupPostal(t, verifyMode)
				p.account(t, ada, verified)
				before := one[string](t, p.bundle, "SELECT password_hash FROM users")
				_, err := p.Register(t.Context(), NewUser{Email: ada, Password: anotherPassword, Name: "Mallory"}, Device{})
				require.NoError(t, err)
				arrived := p.post(t)
				require.Len(t, arrived, 1)
				require.NotContains(t, arrived[0].Text, "Mallory")
				require.Equal(t, before, one[string](t, p.bundle, "SELECT password_hash FROM users"))
				require.Empty(t, one[string](t, p.bundle, "SELECT name FROM users"))
				if !verified {
					p.requireVerify(t, nil, arrived[0].token(t))
				}
				p.requirePassword(t, rightPassword, anotherPassword)
			})
		}
	})
}
