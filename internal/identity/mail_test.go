package identity

import (
	"encoding/base64"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/jobs"
)

func requireMoot(t *testing.T, err error) {
	t.Helper()
	require.True(t, jobs.IsMoot(err), "%v", err)
}

func requireFinal(t *testing.T, err error) {
	t.Helper()
	var final *river.JobCancelError
	require.ErrorAs(t, err, &final)
}

func TestIdentity_SendMail(t *testing.T) {
	t.Parallel()

	t.Run("SaysWhatItIsAbout", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.register(t, ada)
		_, err := p.UpdateMe(t.Context(), p.userID(t, ada), UserChange{Name: new("Ada Lovelace")})
		require.NoError(t, err)
		verify := p.requirePost(t, "verify_email "+ada)[0]
		require.Contains(t, verify.Text, "Ada Lovelace")
		require.Regexp(t, `(?m)^https://auth\.example\.com/verify-email#token=avet_[A-Za-z0-9_-]{43}\r?$`, verify.Text)
		require.Contains(t, verify.Text, "24 hours")
		require.Contains(t, verify.Source, verify.Job.ID.String(), "the Message-ID is that of the job")

		p.ask(t, askedToReset, ada)
		reset := p.requirePost(t, "reset_password "+ada)[0]
		require.Regexp(t, `(?m)^https://auth\.example\.com/reset-password#token=aset_[A-Za-z0-9_-]{43}\r?$`, reset.Text)
		require.Contains(t, reset.Text, "30 minutes")
	})

	t.Run("AgainIsTheSame", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.register(t, ada)
		first := p.requirePost(t, "verify_email "+ada)[0]
		again := p.send(t, first.Job)
		require.Equal(t, first.token(t), again.token(t))
		require.Equal(t, messageID(t, first), messageID(t, again))
	})

	t.Run("Moot", func(t *testing.T) {
		t.Parallel()
		for name, meanwhile := range map[string]func(*testing.T, *postal, Mail){
			"UserDeleted": func(t *testing.T, p *postal, m Mail) {
				require.NoError(t, p.DeleteUser(t.Context(), Caller{}, m.UserID))
			},
			"LinkUsed": func(t *testing.T, p *postal, m Mail) {
				require.NoError(t, p.VerifyEmail(t.Context(), p.linkToken(*m.LinkID, toVerifyEmail), Device{}))
			},
			"LinkReplaced": func(t *testing.T, p *postal, _ Mail) {
				p.ask(t, askedToVerify, ada)
				p.answer(t)
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := setupPostal(t)
				p.register(t, ada)
				waiting := work[Mail](t, p.bundle)
				require.Len(t, waiting, 1)
				meanwhile(t, p, waiting[0])
				requireMoot(t, p.SendMail(t.Context(), waiting[0]))
				require.Empty(t, p.box.empty())
			})
		}
	})

	// What may pass by itself is tried again.
	t.Run("ServerDown", func(t *testing.T) {
		t.Parallel()
		b := setup(t) // its mailer knows no server
		b.register(t, ada)
		err := b.SendMail(t.Context(), work[Mail](t, b)[0])
		require.Error(t, err)
		require.False(t, jobs.IsMoot(err))
		var final *river.JobCancelError
		require.NotErrorAs(t, err, &final)
	})

	// The time to live begins when the mail goes out, however long it had to wait.
	t.Run("WaitedLong", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.register(t, ada)
		p.requirePost(t, "verify_email "+ada)
		p.ask(t, askedToReset, ada)
		p.answer(t)
		p.clock.advance(2 * 24 * time.Hour)
		require.NoError(t, p.CleanUp(t.Context()), "it leaves what a mail still waits to carry")
		token := p.requirePost(t, "reset_password "+ada)[0].token(t)
		p.clock.advance(30*time.Minute - tick)
		require.NoError(t, p.ResetPassword(t.Context(), token, anotherPassword, Device{}))
	})

	t.Run("NoMailer", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.Mailer = nil
		session := b.register(t, ada)
		by := b.caller(t, session)
		b.ask(t, askedToReset, ada)
		b.ask(t, askedToVerify, ada)
		require.NoError(t, b.SendPasswordReset(t.Context(), Caller{}, session.User.ID))
		require.NoError(t, b.ChangeEmail(t.Context(), by, "countess@example.com", rightPassword, Device{}))
		require.NoError(t, b.ChangePassword(t.Context(), by, rightPassword, anotherPassword, Device{}))
		require.Zero(t, b.count(t, "river_job"), "nothing waits to be sent")
		require.Zero(t, b.count(t, "one_time_tokens"))
	})
}

func messageID(t *testing.T, l letter) string {
	t.Helper()
	found := regexp.MustCompile(`(?mi)^Message-ID: (\S+)`).FindStringSubmatch(l.Source)
	require.NotNil(t, found)
	return found[1]
}

// The token of a link stands in the mail and nowhere else: neither the tables
// nor the jobs, done or not, hold it in any form.
func TestIdentity_LinksAreNotStored(t *testing.T) {
	t.Parallel()
	p := setupPostal(t)
	by := p.caller(t, p.register(t, ada))
	p.ask(t, askedToReset, ada)
	require.NoError(t, p.ChangeEmail(t.Context(), by, "countess@example.com", rightPassword, Device{}))
	_, err := p.Invite(t.Context(), Caller{Role: RoleAdmin}, NewUser{Email: "bob@example.com", Role: RoleUser})
	require.NoError(t, err)
	arrived := p.requirePost(t, "verify_email "+ada, "confirm_email_change countess@example.com", "invitation bob@example.com", "reset_password "+ada)

	cells := p.cells(t)
	require.NotEmpty(t, cells.holding([]byte(arrived[0].Job.LinkID.String())), "the search finds what is in a job")
	for _, l := range arrived {
		token := l.token(t)
		require.NotEmpty(t, cells.holding(hashToken(token)), "the search finds what is in a table")
		_, secret, _ := strings.Cut(token, "_")
		bytes := decoded(t, base64.RawURLEncoding.DecodeString, secret)
		for _, needle := range [][]byte{[]byte(token), []byte(secret), bytes} {
			for form, needle := range forms(needle) {
				require.Empty(t, cells.holding(needle), "%s: %s", l.Job.Template, form)
			}
		}
	}
}

// A token is derived under the service's key, for one link and one purpose.
func TestIdentity_LinkToken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	otherKey := b.replica(t, func(o *Options) { o.LinkKey = make([]byte, 32) })
	id := uuid.Must(uuid.NewV7())
	secrets := []string{}
	for _, token := range []string{
		b.linkToken(id, toVerifyEmail), b.linkToken(id, toChangeEmail), b.linkToken(id, toSetPassword),
		b.linkToken(uuid.Must(uuid.NewV7()), toVerifyEmail), otherKey.linkToken(id, toVerifyEmail),
	} {
		_, secret, _ := strings.Cut(token, "_")
		require.Len(t, decoded(t, base64.RawURLEncoding.DecodeString, secret), 32, "256 bits")
		require.False(t, slices.Contains(secrets, secret))
		secrets = append(secrets, secret)
	}
	first, again := b.linkToken(id, toVerifyEmail), b.linkToken(id, toVerifyEmail)
	require.Equal(t, first, again)
}

// Links lead to where the operator's pattern says.
func TestIdentity_Link_Pattern(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := uuid.Must(uuid.NewV7())
	for pattern, want := range map[string][3]string{ // to verify, to reset, to accept an invitation
		"https://a.example/{page}#token={token}":        {"https://a.example/verify-email#token=V", "https://a.example/reset-password#token=R", "https://a.example/reset-password#invited=1&token=R"},
		"https://a.example/x?p={page}&t={token}#{page}": {"https://a.example/x?p=verify-email&t=V#verify-email", "https://a.example/x?p=reset-password&t=R#reset-password", "https://a.example/x?p=reset-password&t=R#reset-password"},
		"https://a.example/link#{token}":                {"https://a.example/link#V", "https://a.example/link#R", "https://a.example/link#R"},
	} {
		b.o.LinkPattern = pattern
		filled := strings.NewReplacer("V", b.linkToken(id, toVerifyEmail), "R", b.linkToken(id, toSetPassword))
		require.Equal(t, filled.Replace(want[0]), b.link(id, toVerifyEmail, false))
		require.Equal(t, filled.Replace(want[1]), b.link(id, toSetPassword, false))
		require.Equal(t, filled.Replace(want[2]), b.link(id, toSetPassword, true))
	}
}

// What no further try would mend has failed at once.
func TestIdentity_SendMail_Refused(t *testing.T) {
	t.Parallel()
	p := setupPostal(t)
	p.register(t, ada)
	job := work[Mail](t, p.bundle)[0]
	job.To = "nobody@@example.com"
	requireFinal(t, p.SendMail(t.Context(), job))
}

func TestIdentity_Mail_Device(t *testing.T) {
	t.Parallel()
	p := setupPostal(t)
	session := p.register(t, ada)
	p.requirePost(t, "verify_email "+ada)
	device := Device{IP: netip.MustParseAddr("203.0.113.9"), UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0\n\x00"}
	require.NoError(t, p.ChangePassword(t.Context(), p.caller(t, session), rightPassword, anotherPassword, device))
	told := p.requirePost(t, "password_changed "+ada)[0]
	require.Contains(t, told.Text, "203.0.113.9")
	require.Contains(t, told.Text, "Firefox")
	require.Equal(t, "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", told.Job.Device.UserAgent)
}
