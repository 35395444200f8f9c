package identity

import (
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/tokens"
)

const countess = "countess@example.com"

// moving is an account that is about to move to another address.
func moving(t *testing.T, p *postal, to string) (Session, Caller) {
	t.Helper()
	p.account(t, ada, true)
	session, err := p.LogIn(t.Context(), ada, rightPassword, Device{})
	require.NoError(t, err)
	by := p.caller(t, session)
	require.NoError(t, p.ChangeEmail(t.Context(), by, to, rightPassword, Device{}))
	return session, by
}

func TestIdentity_ChangeEmail(t *testing.T) {
	t.Parallel()

	t.Run("IsConfirmedAtTheNewAndToldToTheOld", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		session := p.register(t, ada)
		p.post(t)
		source := audit.Source{Actor: audit.User(session.User.ID), RequestID: "request-1"}
		ctx := audit.WithSource(t.Context(), source)
		require.NoError(t, p.ChangeEmail(ctx, p.caller(t, session), "Countess@Example.com", rightPassword, Device{}))
		token := p.requirePost(t, "confirm_email_change "+countess)[0].token(t)
		me, err := p.Me(t.Context(), session.User.ID)
		require.NoError(t, err)
		require.Equal(t, ada, me.Email, "nothing changes before it is confirmed")

		device := Device{IP: netip.MustParseAddr("203.0.113.9")}
		require.NoError(t, p.VerifyEmail(t.Context(), token, device))
		require.Contains(t, p.requirePost(t, "email_changed "+ada)[0].Text, "203.0.113.9")
		me, err = p.Me(t.Context(), session.User.ID)
		require.NoError(t, err)
		require.Equal(t, countess, me.Email)
		require.True(t, me.EmailVerified)
		p.caller(t, session)
		_, err = p.LogIn(t.Context(), countess, rightPassword, Device{})
		require.NoError(t, err)
		_, err = p.LogIn(t.Context(), ada, rightPassword, Device{})
		require.Equal(t, ErrInvalidCredentials, err)
		p.register(t, ada) // free again
		p.requireVerify(t, ErrInvalidToken, token)

		for _, what := range []audit.Type{audit.EmailChangeRequested, audit.EmailChanged} {
			events := p.happened(t, what)
			require.Len(t, events, 1, what)
			require.Equal(t, source.Actor, events[0].Actor)
			require.Equal(t, audit.OnUser(session.User.ID), events[0].Target)
			require.JSONEq(t, "{}", string(events[0].Details), "addresses are personal data")
		}
	})

	t.Run("Refused", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.account(t, ada, true)
		session, err := p.LogIn(t.Context(), ada, rightPassword, Device{})
		require.NoError(t, err)
		by := p.caller(t, session)
		require.Equal(t, ErrWrongPassword, p.ChangeEmail(t.Context(), by, countess, wrongPassword, Device{}))
		failed := p.happened(t, audit.PasswordConfirmFail)
		require.Len(t, failed, 1)
		require.JSONEq(t, `{"operation":"change_email"}`, string(failed[0].Details))
		for _, bad := range []string{"countess", "ADA@example.com"} {
			refusal := apperr.From(p.ChangeEmail(t.Context(), by, bad, rightPassword, Device{}))
			require.Equal(t, apperr.Invalid, refusal.Kind)
			require.Equal(t, "/new_email", refusal.Fields[0].Pointer)
		}
		require.NoError(t, p.DeleteUser(t.Context(), Caller{}, by.UserID))
		require.Equal(t, tokens.ErrInvalid, p.ChangeEmail(t.Context(), by, countess, rightPassword, Device{}))
		p.requirePost(t)
	})

	t.Run("PasswordChangedMeanwhile", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		session := p.register(t, ada)
		p.post(t)
		by := p.caller(t, session)
		p.meanwhile(t, by.UserID, "UPDATE users SET password_hash = password_hash || 'x' WHERE id = $1", func() {
			require.Equal(t, ErrWrongPassword, p.ChangeEmail(t.Context(), by, countess, rightPassword, Device{}))
		})
		p.requirePost(t)
	})

	// Whether the new address has an account only its mailbox learns.
	t.Run("TakenBeforeAsking", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.account(t, countess, true)
		moving(t, p, countess)
		p.requirePost(t, "account_exists "+countess)
		require.Zero(t, p.count(t, "one_time_tokens"))
	})

	t.Run("OlderOnesAreVoid", func(t *testing.T) {
		t.Parallel()
		for name, taken := range map[string]bool{"NewAddressFree": false, "NewAddressTaken": true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := setupPostal(t)
				if taken {
					p.account(t, "bob@example.com", true)
				}
				_, by := moving(t, p, countess)
				old := p.requirePost(t, "confirm_email_change "+countess)[0].token(t)
				require.NoError(t, p.ChangeEmail(t.Context(), by, "bob@example.com", rightPassword, Device{}))
				p.requireVerify(t, ErrInvalidToken, old) // else it would tell whether bob has an account
			})
		}
	})

	t.Run("TakenBeforeConfirming", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		moving(t, p, countess)
		token := p.requirePost(t, "confirm_email_change "+countess)[0].token(t)
		p.account(t, countess, true)
		p.requireVerify(t, ErrEmailTaken, token)
		p.requirePassword(t, rightPassword, wrongPassword)
		p.requirePost(t)
		require.Empty(t, p.happened(t, audit.EmailChanged))
	})

	t.Run("TwoConfirmOneAddressAtOnce", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		var links []string
		for _, email := range []string{ada, "bob@example.com", "carol@example.com", "dave@example.com"} {
			session := p.register(t, email)
			p.post(t)
			require.NoError(t, p.ChangeEmail(t.Context(), p.caller(t, session), countess, rightPassword, Device{}))
			links = append(links, p.requirePost(t, "confirm_email_change "+countess)[0].token(t))
		}
		var moved atomic.Int32
		together(len(links), func(i int) {
			if err := p.VerifyEmail(t.Context(), links[i], Device{}); err == nil {
				moved.Add(1)
			} else {
				require.Equal(t, ErrEmailTaken, err)
			}
		})
		require.EqualValues(t, 1, moved.Load())
		require.Equal(t, 4, p.count(t, "users"))
	})

	// Who still reads the old mailbox has lost the account's links.
	t.Run("LinksToTheOldAddressAreVoid", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		session := p.register(t, ada)
		verify := p.requirePost(t, "verify_email "+ada)[0].token(t)
		reset := p.resetToken(t)
		require.NoError(t, p.ChangeEmail(t.Context(), p.caller(t, session), countess, rightPassword, Device{}))
		change := p.requirePost(t, "confirm_email_change "+countess)[0].token(t)
		p.ask(t, askedToReset, ada)
		p.answer(t)
		unsent := work[Mail](t, p.bundle)
		p.requireVerify(t, nil, change)
		p.requireReset(t, ErrInvalidToken, reset)
		p.requireVerify(t, ErrInvalidToken, verify)
		require.Len(t, unsent, 1)
		requireMoot(t, p.SendMail(t.Context(), unsent[0]))
		p.requirePost(t, "email_changed "+ada)
		require.Zero(t, p.count(t, "one_time_tokens"))
	})
}
