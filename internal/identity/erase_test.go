package identity

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/tokens"
)

// requestFrom is a request of somebody's, from an address and with an agent.
func requestFrom(t *testing.T, actor audit.Actor, ip, agent string) (context.Context, Device) {
	t.Helper()
	source := audit.Source{Actor: actor, RequestID: "request-1", IP: netip.MustParseAddr(ip), UserAgent: agent}
	return audit.WithSource(t.Context(), source), Device{IP: source.IP, UserAgent: agent}
}

// newestToken is that of the link in the mail that arrives last.
func (p *postal) newestToken(t *testing.T) string {
	t.Helper()
	arrived := p.post(t)
	return arrived[len(arrived)-1].token(t)
}

// live has somebody do all that leaves traces, and returns the traces and what
// they hold in the end. who makes all of them theirs.
func live(t *testing.T, p *postal, who string) (traces []string, last Session, links []string) {
	t.Helper()
	email, moved, never := who+"@example.com", who+"-moved@example.com", who+"-never@example.com"
	ip := func(i int) string { return netip.AddrFrom4([4]byte{203, 0, byte(len(who)), byte(100 + i)}).String() }
	agent := func(i int) string { return who + "Browser/" + string(rune('0'+i)) }
	traces = []string{email, moved, never, who + " the Person", who + "Browser", who + "-nickname", who + "-suspended-because", who + "-debited-for", who + "-note"}
	for i := range 10 {
		traces = append(traces, ip(i), agent(i))
	}

	// An account, its mails, and a session that is used too often.
	ctx, device := requestFrom(t, audit.Anonymous, ip(0), agent(0))
	registered, err := p.Register(ctx, NewUser{Email: email, Password: rightPassword, Name: who + " the Person"}, device)
	require.NoError(t, err)
	id := registered.User.ID
	require.NoError(t, p.VerifyEmail(ctx, p.newestToken(t), device))
	p.post(t)
	ctx, device = requestFrom(t, audit.Anonymous, ip(1), agent(1))
	_, err = p.Refresh(ctx, registered.RefreshToken, device)
	require.NoError(t, err)
	p.clock.advance(time.Minute)
	ctx, device = requestFrom(t, audit.Anonymous, ip(2), agent(2))
	_, err = p.Refresh(ctx, registered.RefreshToken, device)
	require.Equal(t, ErrRefreshReused, err)
	ctx, device = requestFrom(t, audit.Anonymous, ip(3), agent(3))
	_, err = p.Refresh(ctx, registered.RefreshToken, device)
	require.Equal(t, ErrInvalidRefresh, err)

	// Failures, and sessions that end by the limit.
	ctx, device = requestFrom(t, audit.Anonymous, ip(4), agent(4))
	_, err = p.LogIn(ctx, email, wrongPassword, device)
	require.Equal(t, ErrInvalidCredentials, err)
	ctx, device = requestFrom(t, audit.Anonymous, ip(5), agent(5))
	for range 3 {
		last, err = p.LogIn(ctx, email, rightPassword, device)
		require.NoError(t, err)
	}

	// A profile, an account, and a move.
	self := audit.User(id)
	ctx, device = requestFrom(t, self, ip(6), agent(6))
	_, err = p.UpdateMe(ctx, id, UserChange{Metadata: []byte(`{"called":"` + who + `-nickname"}`)})
	require.NoError(t, err)
	ledger := creditledger.New(p.db.Pool, creditledger.Options{Now: p.clock.now})
	request := creditledger.Request{Actor: creditledger.Actor{Type: creditledger.ActorUser, ID: id}, Refusal: func(*apperr.Error) (int, []byte) { return 402, nil }}
	request.Key = "grant"
	_, err = ledger.Grant(ctx, request, creditledger.GrantParams{UserID: id, Amount: 1000, Priority: 50, Note: creditledger.Note{Metadata: []byte(`{"for":"` + who + `-note"}`)}})
	require.NoError(t, err)
	request.Key = "debit"
	_, err = ledger.Debit(ctx, request, creditledger.DebitParams{UserID: id, Amount: 300, Note: creditledger.Note{Description: new(who + "-debited-for")}})
	require.NoError(t, err)
	by := p.caller(t, last)
	p.post(t)
	require.NoError(t, p.ChangeEmail(ctx, by, moved, rightPassword, device))
	require.NoError(t, p.VerifyEmail(ctx, p.newestToken(t), device))
	p.post(t)
	ctx, device = requestFrom(t, self, ip(7), agent(7))
	require.Equal(t, ErrWrongPassword, p.DeleteMe(ctx, by, wrongPassword))

	// Links and mails that wait.
	require.NoError(t, p.ChangeEmail(ctx, by, never, rightPassword, device))
	ctx, device = requestFrom(t, audit.Anonymous, ip(8), agent(8))
	require.NoError(t, p.ForgotPassword(ctx, moved, device))
	for _, l := range p.post(t) {
		links = append(links, l.token(t))
	}
	require.Len(t, links, 2)
	require.NoError(t, p.ForgotPassword(ctx, moved, device))
	p.answer(t)
	links = append(links, p.linkToken(one[uuid.UUID](t, p.bundle, "SELECT id FROM one_time_tokens WHERE user_id = $1 AND purpose = 'set_password'", id), toSetPassword))
	require.NoError(t, p.ForgotPassword(ctx, moved, device)) // not answered

	_, err = p.Suspend(t.Context(), Caller{}, id, who+"-suspended-because", nil)
	require.NoError(t, err)
	_, err = p.Unsuspend(t.Context(), Caller{}, id)
	require.NoError(t, err)
	last, err = p.LogIn(ctx, moved, rightPassword, device)
	require.NoError(t, err)
	ctx, _ = requestFrom(t, audit.Anonymous, ip(9), agent(9))
	_, err = p.Suspend(ctx, Caller{}, id, who+"-suspended-because", new(p.clock.now().Add(time.Hour)))
	require.NoError(t, err)
	return traces, last, links
}

// ledgerRows are the rows of the ledger that must never change.
func (c cells) ledgerRows() map[string][][]byte {
	rows := map[string][][]byte{}
	for name, values := range c {
		if table, _, _ := strings.Cut(name, "."); table == "credit_transactions" || table == "credit_grants" || table == "idempotency_keys" {
			rows[name] = values
		}
	}
	return rows
}

// What is held about a person goes everywhere, to the last address, while the
// ledger stays whole and others keep what is theirs.
func TestIdentity_DeleteUser_ErasesThePerson(t *testing.T) {
	t.Parallel()
	p := setupPostal(t, func(o *Options) { o.MaxSessions = 2 })
	admin := p.caller(t, p.admin(t))
	bobs, _, _ := live(t, p, "bob")
	lovelaces, last, links := live(t, p, "lovelace")
	id := last.User.ID

	before := p.cells(t)
	for _, trace := range append(bobs, lovelaces...) {
		if strings.HasSuffix(trace, "bob@example.com") || strings.HasSuffix(trace, "lovelace@example.com") {
			continue // moved away from
		}
		require.NotEmpty(t, before.holding([]byte(trace)), trace)
	}
	require.NoError(t, p.DeleteUser(t.Context(), admin, id))

	after := p.cells(t)
	for _, trace := range lovelaces {
		for form, needle := range forms([]byte(trace)) {
			require.Empty(t, after.holding(needle), "%s, %s", trace, form)
		}
	}
	for _, trace := range bobs {
		require.Len(t, after.holding([]byte(trace)), len(before.holding([]byte(trace))), trace)
	}

	require.Empty(t, cmp.Diff(before.ledgerRows(), after.ledgerRows()))
	require.EqualValues(t, 700, one[int64](t, p.bundle, "SELECT balance FROM credit_accounts WHERE user_id = $1 AND closed_at IS NOT NULL", id))
	require.EqualValues(t, 700, one[int64](t, p.bundle, "SELECT sum(amount)::bigint FROM credit_transactions WHERE user_id = $1", id))
	require.EqualValues(t, 2, one[int64](t, p.bundle, "SELECT count(*) FROM credit_transactions WHERE user_id = $1", id))

	events := p.happened(t, audit.UserDeleted)
	require.Len(t, events, 1)
	require.Equal(t, audit.OnUser(id), events[0].Target)
	require.JSONEq(t, `{"role":"user"}`, string(events[0].Details))
	require.NotEmpty(t, p.happened(t, audit.LoginSuccess), "events stay, without where they came from")

	// Nothing that the person had works any more, whoever it was that deleted them.
	p.requireEnded(t, last)
	for _, link := range links {
		p.requireReset(t, ErrInvalidToken, link)
		p.requireVerify(t, ErrInvalidToken, link)
	}
	_, err := p.LogIn(t.Context(), "lovelace-moved@example.com", rightPassword, Device{})
	require.Equal(t, ErrInvalidCredentials, err)
	_, err = p.Me(t.Context(), id)
	require.Equal(t, tokens.ErrInvalid, err)
	_, err = p.UpdateMe(t.Context(), id, UserChange{Name: new("Ghost")})
	require.Equal(t, tokens.ErrInvalid, err)
	p.requirePost(t) // not even what was asked for before
}

func TestIdentity_DeleteMe(t *testing.T) {
	t.Parallel()

	t.Run("WithThePassword", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		session := p.register(t, ada)
		by := p.caller(t, session)
		ctx, _ := requestFrom(t, audit.User(by.UserID), "203.0.113.9", "Firefox")
		require.Equal(t, ErrWrongPassword, p.DeleteMe(ctx, by, wrongPassword))
		failed := p.happened(t, audit.PasswordConfirmFail)
		require.Len(t, failed, 1)
		require.JSONEq(t, `{"operation":"delete_account"}`, string(failed[0].Details))
		p.caller(t, session)

		require.NoError(t, p.DeleteMe(ctx, by, rightPassword))
		p.requireEnded(t, session)
		events := p.happened(t, audit.UserDeleted)
		require.Len(t, events, 1)
		require.Equal(t, audit.User(by.UserID), events[0].Actor)
		require.Empty(t, p.cells(t).holding([]byte("203.0.113.9")), "not even of the deletion itself")
		p.requirePost(t)
		require.Equal(t, tokens.ErrInvalid, p.DeleteMe(t.Context(), by, rightPassword))
	})
	t.Run("TheAddressIsFreeAgain", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for range 3 { // more than once: the rows of the deleted do not collide
			session := b.register(t, ada)
			require.NoError(t, b.DeleteMe(t.Context(), b.caller(t, session), rightPassword))
			_, found, err := b.FindUser(t.Context(), ada)
			require.NoError(t, err)
			require.False(t, found)
		}
		require.Equal(t, 3, b.count(t, "users"))
	})
}

// Deleting while the person is at work leaves nothing behind.
func TestIdentity_DeleteUser_DuringRequests(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Passwords.Queue = 100 })
	id := b.register(t, ada).User.ID
	held := make([]Session, 20)
	for i := range held {
		held[i] = b.requireLogIn(t)
	}
	_, device := requestFrom(t, audit.Anonymous, "203.0.113.9", "Firefox")
	together(len(held)+1, func(i int) {
		switch {
		case i == len(held):
			require.NoError(t, b.DeleteUser(t.Context(), Caller{}, id))
		case i%3 == 0:
			_, err := b.LogIn(t.Context(), ada, rightPassword, device)
			require.Contains(t, []error{nil, ErrInvalidCredentials}, err)
		case i%3 == 1:
			_, err := b.Refresh(t.Context(), held[i].RefreshToken, device)
			require.Contains(t, []error{nil, ErrInvalidRefresh}, err)
		default:
			err := b.ChangePassword(t.Context(), Caller{UserID: id, SessionID: held[i].User.ID}, rightPassword, anotherPassword, device)
			require.Contains(t, []error{nil, ErrWrongPassword, error(tokens.ErrInvalid)}, err)
		}
	})
	require.Zero(t, b.count(t, "sessions"))
	require.Zero(t, b.count(t, "refresh_tokens"))
	require.Empty(t, b.cells(t).holding([]byte("203.0.113.9")))
	require.Empty(t, b.cells(t).holding([]byte(ada)))
}

func (b *bundle) requireLogIn(t *testing.T) Session {
	t.Helper()
	session, err := b.LogIn(t.Context(), ada, rightPassword, Device{})
	require.NoError(t, err)
	return session
}
