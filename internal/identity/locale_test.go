package identity

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
)

func TestNormalizeLocale(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"": "", "de": "de", "DE": "de", "de-at": "de-AT", "de_AT": "de-AT", "zh-hant-tw": "zh-Hant-TW", "en-001": "en-001",
	} {
		got, err := normalizeLocale(given)
		require.NoError(t, err, given)
		require.Equal(t, want, got)
	}
	for _, given := range []string{"german", "xx", "und", "x-klingon", "de-", "-", "de AT", "de\n", "../de", "{{.}}", "de-a-" + strings.Repeat("b", 8) + strings.Repeat("-bbbbbbbb", 4)} {
		_, err := normalizeLocale(given)
		refusal := apperr.From(err)
		require.Equal(t, apperr.Invalid, refusal.Kind, given)
		require.Equal(t, "/locale", refusal.Fields[0].Pointer)
	}
}

// Mails are in the person's language, in one that it belongs to, or in the service's.
func TestIdentity_Locale(t *testing.T) {
	t.Parallel()
	register := func(t *testing.T, p *postal, n NewUser) (User, letter) {
		t.Helper()
		n.Email, n.Password = ada, rightPassword
		session, err := p.Register(t.Context(), n, Device{})
		require.NoError(t, err)
		return session.User, p.requirePost(t, "verify_email "+ada)[0]
	}
	for name, test := range map[string]struct {
		who      NewUser
		locale   string // as it is stored
		greeting string
	}{
		"Named":           {NewUser{Locale: "it"}, "it", "Ciao"},
		"WithRegion":      {NewUser{Locale: "de-at"}, "de-AT", "Hallo"},
		"WithoutMails":    {NewUser{Locale: "fr"}, "fr", "Hello"},
		"OfTheBrowser":    {NewUser{AcceptLanguage: "fr-CH, it;q=0.9, en;q=0.8"}, "it", "Ciao"},
		"NamedWins":       {NewUser{Locale: "de", AcceptLanguage: "it"}, "de", "Hallo"},
		"Nothing":         {NewUser{}, "", "Hello"},
		"BrowserSaysNone": {NewUser{AcceptLanguage: "*"}, "", "Hello"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			user, mail := register(t, setupPostal(t), test.who)
			if test.locale == "" {
				require.Nil(t, user.Locale)
			} else {
				require.Equal(t, test.locale, *user.Locale)
			}
			require.True(t, strings.HasPrefix(mail.Text, test.greeting+","), mail.Text)
		})
	}

	t.Run("VerifyMode", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t, verifyMode)
		_, err := p.Register(t.Context(), NewUser{Email: ada, Password: rightPassword, AcceptLanguage: "de"}, Device{})
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(p.requirePost(t, "verify_email "+ada)[0].Text, "Hallo,"))
	})

	t.Run("Changed", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		user, _ := register(t, p, NewUser{Locale: "it"})
		for _, next := range []string{"de", "", "it"} {
			p.clock.advance(time.Second)
			changed, err := p.UpdateMe(t.Context(), user.ID, UserChange{Locale: &next})
			require.NoError(t, err)
			require.Equal(t, orNil(next), changed.Locale)
		}
		p.clock.advance(time.Second)
		kept, err := p.UpdateMe(t.Context(), user.ID, UserChange{Name: new("Ada")})
		require.NoError(t, err)
		require.Equal(t, "it", *kept.Locale)
		_, err = p.UpdateMe(t.Context(), user.ID, UserChange{Locale: new("german")})
		require.Equal(t, "/locale", apperr.From(err).Fields[0].Pointer)
		events := p.happened(t, audit.UserUpdated)
		require.JSONEq(t, `{"fields":["locale"]}`, string(events[0].Details), "and not which one")
		p.ask(t, askedToReset, ada)
		require.True(t, strings.HasPrefix(p.requirePost(t, "reset_password "+ada)[0].Text, "Ciao Ada,"))
	})

	t.Run("Invited", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		admin := Caller{Role: RoleAdmin}
		user, err := p.Invite(t.Context(), admin, NewUser{Email: ada, Role: RoleUser, Locale: "de-CH", AcceptLanguage: "it"})
		require.NoError(t, err)
		require.Equal(t, "de-CH", *user.Locale)
		require.True(t, strings.HasPrefix(p.requirePost(t, "invitation "+ada)[0].Text, "Hallo,"))
		user, err = p.Invite(t.Context(), admin, NewUser{Email: "bob@example.com", Role: RoleUser, AcceptLanguage: "it"})
		require.NoError(t, err)
		require.Nil(t, user.Locale, "the language of whoever invites says nothing")
		_, err = p.Invite(t.Context(), admin, NewUser{Email: "carol@example.com", Role: RoleUser, Locale: "german"})
		require.Equal(t, "/locale", apperr.From(err).Fields[0].Pointer)
	})

	t.Run("Erased", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		user, _ := register(t, p, NewUser{Locale: "it"})
		require.NoError(t, p.DeleteUser(t.Context(), Caller{Role: RoleAdmin}, user.ID))
		require.Zero(t, one[int](t, p.bundle, "SELECT count(*) FROM users WHERE locale IS NOT NULL"))
	})
}
