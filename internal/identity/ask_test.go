package identity

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
)

const anotherPassword = "four words nobody guesses"

func verifyMode(o *Options) { o.RequireVerifiedEmail = true }

// askers are the requests of people who show nothing but an address.
var askers = map[string]func(context.Context, *bundle, string) error{
	askedToReset: func(ctx context.Context, b *bundle, email string) error {
		return b.ForgotPassword(ctx, email, Device{})
	},
	askedToVerify: func(ctx context.Context, b *bundle, email string) error {
		return b.ResendVerification(ctx, email, Device{})
	},
	askedToRegister: func(ctx context.Context, b *bundle, email string) error {
		session, err := b.Register(ctx, NewUser{Email: email, Password: rightPassword, Name: "Somebody"}, Device{})
		if session != nil {
			panic("a session before the address was verified")
		}
		return err
	},
}

// ask makes one of these requests, which must succeed.
func (b *bundle) ask(t *testing.T, what, email string) {
	t.Helper()
	require.NoError(t, askers[what](t.Context(), b, email))
}

func (b *bundle) userID(t *testing.T, email string) uuid.UUID {
	t.Helper()
	return one[uuid.UUID](t, b, "SELECT id FROM users WHERE email = $1", email)
}

// account makes one with rightPassword, as operators do.
func (b *bundle) account(t *testing.T, email string, verified bool) User {
	t.Helper()
	user, err := b.CreateUser(t.Context(), NewUser{Email: email, EmailVerified: verified, Password: rightPassword, Role: RoleUser})
	require.NoError(t, err)
	return user
}

// populate makes one account of each kind that an address can have. All the
// addresses have one length.
func (b *bundle) populate(t *testing.T) {
	t.Helper()
	b.account(t, "verif@example.com", true)
	b.account(t, "fresh@example.com", false)
	suspended := b.account(t, "suspe@example.com", true)
	_, err := b.Suspend(t.Context(), Caller{}, suspended.ID, "spam", nil)
	require.NoError(t, err)
	deleted := b.account(t, "delet@example.com", true)
	require.NoError(t, b.DeleteUser(t.Context(), Caller{}, deleted.ID))
	_, err = b.Invite(t.Context(), Caller{}, NewUser{Email: "invit@example.com", Role: RoleUser})
	require.NoError(t, err)
	work[Mail](t, b)
}

var population = []string{"verif@example.com", "fresh@example.com", "suspe@example.com", "delet@example.com", "invit@example.com", "nobod@example.com"}

// The request does the same for every address, to the last row: one job, in
// which nobody can read the address.
func TestIdentity_Ask_IsNoOracle(t *testing.T) {
	t.Parallel()
	for what := range askers {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := setup(t, verifyMode)
			b.populate(t)
			sizes := map[int]bool{}
			for _, email := range population {
				before := b.cells(t)
				b.ask(t, what, email)
				after := b.cells(t)
				require.Len(t, after["river_job.id"], len(before["river_job.id"])+1, email)
				for column := range after {
					if !strings.HasPrefix(column, "river_job.") {
						require.Empty(t, cmp.Diff(before[column], after[column]), "%s: %s", email, column)
					}
				}

				require.Equal(t, []string{"asked"}, column[string](t, b, "SELECT kind FROM river_job WHERE state = 'available'"), email)
				require.Equal(t, []string{"sealed"}, column[string](t, b, "SELECT jsonb_object_keys(args) FROM river_job WHERE state = 'available'"))
				local, _, _ := strings.Cut(email, "@")
				job := []byte(one[string](t, b, "SELECT j::text FROM river_job j WHERE state = 'available'"))
				opened := work[Asked](t, b)[0].Sealed
				for _, whom := range []string{email, local} {
					for form, needle := range forms([]byte(whom)) {
						require.NotContains(t, string(job), string(needle), form)
						require.NotContains(t, string(opened), string(needle), form)
					}
				}
				sizes[len(opened)] = true
			}
			require.Len(t, sizes, 1, "the job's size tells of nothing but the address's")
		})
	}
}

func TestIdentity_Ask_InvalidAddress(t *testing.T) {
	t.Parallel()
	b := setup(t, verifyMode)
	for what, ask := range askers {
		require.Equal(t, apperr.Invalid, apperr.From(ask(t.Context(), b, "ada")).Kind, what)
	}
	require.Zero(t, b.count(t, "river_job"))
}

// What the job does is between it and the mailbox.
func TestIdentity_Answer(t *testing.T) {
	t.Parallel()
	for what, want := range map[string]map[string]string{
		askedToReset: {
			"verif@example.com": "reset_password", "fresh@example.com": "reset_password", "invit@example.com": "reset_password",
			"suspe@example.com": "", "delet@example.com": "", "nobod@example.com": "",
		},
		askedToVerify: {
			"fresh@example.com": "verify_email", "invit@example.com": "verify_email",
			"verif@example.com": "", "suspe@example.com": "", "delet@example.com": "", "nobod@example.com": "",
		},
		askedToRegister: {
			"verif@example.com": "account_exists", "fresh@example.com": "verify_email", "invit@example.com": "verify_email",
			"delet@example.com": "verify_email", "nobod@example.com": "verify_email", "suspe@example.com": "",
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := setupPostal(t, verifyMode)
			p.populate(t)
			for _, email := range population {
				events := p.count(t, "audit_events")
				p.ask(t, what, strings.ToUpper(email))
				if want[email] == "" {
					p.requirePost(t)
					require.Equal(t, events, p.count(t, "audit_events"))
					continue
				}
				p.requirePost(t, want[email]+" "+email)
			}
		})
	}
}

// Events of the job tell where the request came from.
func TestIdentity_Answer_Audit(t *testing.T) {
	t.Parallel()
	source := audit.Source{Actor: audit.Anonymous, RequestID: "request-1", IP: netip.MustParseAddr("203.0.113.9"), UserAgent: "Firefox"}
	for what, want := range map[string]audit.Type{
		askedToReset: audit.PasswordResetRequested, askedToVerify: audit.VerificationRequested, askedToRegister: audit.UserCreated,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := setup(t, verifyMode)
			if what != askedToRegister {
				b.account(t, ada, false)
			}
			require.NoError(t, askers[what](audit.WithSource(t.Context(), source), b, ada))
			b.answer(t)
			events := b.happened(t, want)
			event := events[len(events)-1]
			id := b.userID(t, ada)
			actor := audit.Anonymous
			if what == askedToRegister {
				actor = audit.User(id)
			}
			require.Equal(t, actor, event.Actor)
			require.Equal(t, audit.OnUser(id), event.Target)
			require.Equal(t, source.RequestID, event.RequestID)
			require.Equal(t, source.IP, event.IP)
			require.Equal(t, source.UserAgent, event.UserAgent)
		})
	}
}

func TestIdentity_Answer_Races(t *testing.T) {
	t.Parallel()

	t.Run("SuspendedMeanwhile", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		user := p.account(t, ada, true)
		p.ask(t, askedToReset, ada)
		p.meanwhile(t, user.ID, "UPDATE users SET status = 'suspended', suspended_at = now() WHERE id = $1", func() { p.answer(t) })
		p.requirePost(t)
	})
	t.Run("DeletedMeanwhile", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		user := p.account(t, ada, true)
		p.ask(t, askedToReset, ada)
		p.meanwhile(t, user.ID, "UPDATE users SET email = NULL, password_hash = NULL, deleted_at = now() WHERE id = $1", func() { p.answer(t) })
		p.requirePost(t)
		require.Zero(t, p.count(t, "one_time_tokens"))
	})
	t.Run("ResetTwiceKeepsOneLink", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.account(t, ada, true)
		for range 20 {
			b.ask(t, askedToReset, ada)
		}
		waiting := work[Asked](t, b)
		together(len(waiting), func(i int) { require.NoError(t, b.Answer(t.Context(), waiting[i])) })
		require.Equal(t, 1, b.count(t, "one_time_tokens"))
	})
}

// A job that nobody can read any more is given up.
func TestIdentity_Answer_Unreadable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.account(t, ada, true)
	b.ask(t, askedToReset, ada)
	good := work[Asked](t, b)[0].Sealed
	plain, err := b.Sealer.Open(good, askedSeal)
	require.NoError(t, err)
	for name, sealed := range map[string][]byte{
		"Empty":            nil,
		"Cut":              good[:len(good)-1],
		"Changed":          append([]byte{good[0] ^ 1}, good[1:]...),
		"SealedForAnother": b.Sealer.Seal(plain, "signing key"),
		"NoJSON":           b.Sealer.Seal([]byte("{"), askedSeal),
	} {
		requireFinal(t, b.Answer(t.Context(), Asked{Sealed: sealed}))
		require.Zero(t, b.count(t, "one_time_tokens"), name)
	}
	require.NoError(t, b.Answer(t.Context(), Asked{Sealed: good}))
	require.Equal(t, 1, b.count(t, "one_time_tokens"))
}

// What people ask for is written down and nothing else: however many ask, none
// of their requests says a word to the mail server, so that it cannot matter
// whether there is one.
func TestIdentity_Ask_TalksToNobody(t *testing.T) {
	t.Parallel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer server.Close()
	p := setupPostal(t)
	p.port = server.Addr().(*net.TCPAddr).Port
	p.disable(t)

	session, err := p.Register(t.Context(), NewUser{Email: ada, Password: rightPassword}, on(firefox, "192.0.2.1"))
	require.NoError(t, err)
	by := p.caller(t, *session)
	p.logInOn(t, ada, on(chrome, "192.0.2.1"))
	require.NoError(t, p.ChangeEmail(t.Context(), by, "countess@example.com", rightPassword, Device{}))
	require.NoError(t, p.SendPasswordReset(t.Context(), Caller{}, session.User.ID))
	_, err = p.Invite(t.Context(), Caller{}, NewUser{Email: "bob@example.com", Role: RoleUser})
	require.NoError(t, err)
	p.tell(t, CreditNotice{UserID: session.User.ID, Granted: 5, Balance: 5, Low: true})
	mails := p.count(t, "river_job")
	require.Equal(t, 7, mails)
	for range 250 {
		p.ask(t, askedToReset, ada)
		p.ask(t, askedToReset, "nobody@example.com")
	}
	require.Equal(t, mails+500, p.count(t, "river_job"))

	// Connections are accepted in the order in which they were made: ours is the first.
	ours, err := net.Dial("tcp", server.Addr().String())
	require.NoError(t, err)
	defer ours.Close()
	first, err := server.Accept()
	require.NoError(t, err)
	defer first.Close()
	require.Equal(t, ours.LocalAddr().String(), first.RemoteAddr().String())

}
