package identity

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/tokens"
)

// found lists the addresses of the users that a filter picks, newest first.
func (b *bundle) found(t *testing.T, f UserFilter) []string {
	t.Helper()
	page, more, err := b.Users(t.Context(), f, uuid.Max, 200)
	require.NoError(t, err)
	require.False(t, more)
	emails := []string{}
	for _, user := range page {
		emails = append(emails, user.Email)
	}
	return emails
}

func TestIdentity_Users_Filter(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, n := range []NewUser{
		{Email: "ada@example.com", Name: "Ada Lovelace", Role: RoleAdmin},
		{Email: "bob_b@bücher.example", Name: "Bob 100% Élan", Role: RoleUser},
		{Email: "carol@example.com", Name: `back\slash`, Role: RoleUser},
		{Email: "dave@example.org", Name: "", Role: RoleUser},
		{Email: "erin@example.org", Name: "", Role: RoleUser},
	} {
		n.Password = rightPassword
		_, err := b.CreateUser(t.Context(), n)
		require.NoError(t, err)
	}
	until := startStored.Add(time.Hour)
	_, err := b.Suspend(t.Context(), Caller{}, b.userID(t, "carol@example.com"), "", nil)
	require.NoError(t, err)
	_, err = b.Suspend(t.Context(), Caller{}, b.userID(t, "dave@example.org"), "", &until)
	require.NoError(t, err)
	require.NoError(t, b.DeleteUser(t.Context(), Caller{}, b.userID(t, "erin@example.org")))

	const ada, bob, carol, dave = "ada@example.com", "bob_b@xn--bcher-kva.example", "carol@example.com", "dave@example.org"
	for name, c := range map[string]struct {
		f    UserFilter
		want []string
	}{
		"All":               {UserFilter{}, []string{dave, carol, bob, ada}},
		"PartOfAddress":     {UserFilter{Text: new("example.com")}, []string{carol, ada}},
		"InAnyCase":         {UserFilter{Text: new("EXAMPLE.Com")}, []string{carol, ada}},
		"PartOfName":        {UserFilter{Text: new("LOVE")}, []string{ada}},
		"NameBeyondASCII":   {UserFilter{Text: new("éLAN")}, []string{bob}},
		"Percent":           {UserFilter{Text: new("%")}, []string{bob}},
		"PercentIsNoWild":   {UserFilter{Text: new("a%a")}, nil},
		"Underscore":        {UserFilter{Text: new("_")}, []string{bob}},
		"UnderscoreIsNone":  {UserFilter{Text: new("a_a")}, nil},
		"Backslash":         {UserFilter{Text: new(`\`)}, []string{carol}},
		"BackslashInText":   {UserFilter{Text: new(`K\s`)}, []string{carol}},
		"Quote":             {UserFilter{Text: new(`' OR 1=1 --`)}, nil},
		"Nothing":           {UserFilter{Text: new("")}, []string{dave, carol, bob, ada}},
		"Admins":            {UserFilter{Role: new(RoleAdmin)}, []string{ada}},
		"Users":             {UserFilter{Role: new(RoleUser)}, []string{dave, carol, bob}},
		"Suspended":         {UserFilter{Status: new(StatusSuspended)}, []string{dave, carol}},
		"Active":            {UserFilter{Status: new(StatusActive)}, []string{bob, ada}},
		"Address":           {UserFilter{Email: new("BOB_B@Bücher.example")}, []string{bob}},
		"AddressIsNoPart":   {UserFilter{Email: new("da@example.com")}, nil},
		"NoAddress":         {UserFilter{Email: new("ada")}, nil},
		"AddressOfDeleted":  {UserFilter{Email: new("erin@example.org")}, nil},
		"Together":          {UserFilter{Text: new("example"), Role: new(RoleUser), Status: new(StatusActive)}, []string{bob}},
		"TogetherContradic": {UserFilter{Email: new(ada), Role: new(RoleUser)}, nil},
	} {
		require.Equal(t, append([]string{}, c.want...), b.found(t, c.f), name)
	}

	// A suspension is over at its very moment.
	b.clock.advance(time.Hour - tick)
	require.Equal(t, []string{dave, carol}, b.found(t, UserFilter{Status: new(StatusSuspended)}))
	b.clock.advance(tick)
	require.Equal(t, []string{carol}, b.found(t, UserFilter{Status: new(StatusSuspended)}))
	require.Equal(t, []string{dave, bob, ada}, b.found(t, UserFilter{Status: new(StatusActive)}))
}

// Pages have neither gaps nor repeats while users are made and deleted.
func TestIdentity_Users_Pages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	invite := func(i int) User {
		user, err := b.Invite(t.Context(), Caller{}, NewUser{Email: fmt.Sprintf("user%d@example.com", i), Role: RoleUser})
		require.NoError(t, err)
		return user
	}
	var want []uuid.UUID
	for i := range 7 {
		want = append(want, invite(i).ID)
	}
	slices.Reverse(want)
	var got []uuid.UUID
	before := uuid.Max
	for i, size := range []int{3, 3, 1} {
		page, more, err := b.Users(t.Context(), UserFilter{}, before, 3)
		require.NoError(t, err)
		require.Len(t, page, size)
		require.Equal(t, size == 3, more)
		for _, user := range page {
			got, before = append(got, user.ID), user.ID
		}
		invite(100 + i)
		require.NoError(t, b.DeleteUser(t.Context(), Caller{}, page[size-1].ID), "not even the one that the cursor names needs to be there")
	}
	require.Equal(t, want, got)

	page, more, err := b.Users(t.Context(), UserFilter{}, before, 3)
	require.NoError(t, err)
	require.False(t, more)
	require.Empty(t, page)
}

func TestIdentity_User_NotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	deleted := b.account(t, ada, true)
	require.NoError(t, b.DeleteUser(t.Context(), Caller{}, deleted.ID))
	events := b.count(t, "audit_events")
	for _, id := range []uuid.UUID{{}, uuid.Must(uuid.NewV7()), deleted.ID} {
		_, err := b.User(t.Context(), id)
		require.Equal(t, ErrUserNotFound, err)
		for name, use := range administering {
			require.Equal(t, ErrUserNotFound, use(t, b, Caller{Role: RoleAdmin}, id), name)
		}
	}
	require.Equal(t, events, b.count(t, "audit_events"))
}

// administering are all the ways to change somebody else.
var administering = map[string]func(*testing.T, *bundle, Caller, uuid.UUID) error{
	"ChangeName": func(t *testing.T, b *bundle, by Caller, id uuid.UUID) error {
		_, err := b.ChangeUser(t.Context(), by, id, UserChange{Name: new("Changed")})
		return err
	},
	"Demote": func(t *testing.T, b *bundle, by Caller, id uuid.UUID) error {
		_, err := b.ChangeUser(t.Context(), by, id, UserChange{Role: new(RoleUser)})
		return err
	},
	"Suspend": func(t *testing.T, b *bundle, by Caller, id uuid.UUID) error {
		_, err := b.Suspend(t.Context(), by, id, "", nil)
		return err
	},
	"Unsuspend": func(t *testing.T, b *bundle, by Caller, id uuid.UUID) error {
		_, err := b.Unsuspend(t.Context(), by, id)
		return err
	},
	"EndSessions": func(t *testing.T, b *bundle, by Caller, id uuid.UUID) error {
		return b.EndSessionsOf(t.Context(), by, id)
	},
	"Reset": func(t *testing.T, b *bundle, by Caller, id uuid.UUID) error {
		return b.SendPasswordReset(t.Context(), by, id)
	},
	"Delete": func(t *testing.T, b *bundle, by Caller, id uuid.UUID) error {
		return b.DeleteUser(t.Context(), by, id)
	},
}

// An API key that may write users neither makes nor touches administrators,
// which would make it more than the key of one.
func TestIdentity_Administration_ByKey(t *testing.T) {
	t.Parallel()
	key := Caller{APIKeyID: uuid.Must(uuid.NewV7()), Scopes: Scopes}

	t.Run("NotAdministrators", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		admin := b.admin(t)
		_, err := b.CreateUser(t.Context(), NewUser{Email: "second@example.com", Password: rightPassword, Role: RoleAdmin})
		require.NoError(t, err)
		user := b.account(t, ada, true)
		before := b.cells(t)
		for name, use := range administering {
			require.Equal(t, ErrAdminRequired, use(t, b, key, admin.User.ID), name)
		}
		_, err = b.ChangeUser(t.Context(), key, user.ID, UserChange{Role: new(RoleAdmin)})
		require.Equal(t, ErrAdminRequired, err)
		_, err = b.Invite(t.Context(), key, NewUser{Email: "third@example.com", Role: RoleAdmin})
		require.Equal(t, ErrAdminRequired, err)
		require.Empty(t, cmp.Diff(before, b.cells(t)))
	})
	for name, use := range administering {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.admin(t)
			require.NoError(t, use(t, b, key, b.account(t, ada, true).ID))
		})
	}
	t.Run("Invite", func(t *testing.T) {
		t.Parallel()
		_, err := setup(t).Invite(t.Context(), key, NewUser{Email: ada, Role: RoleUser})
		require.NoError(t, err)
	})
	t.Run("NeitherDoOrdinaryPeople", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		by := b.caller(t, b.register(t, ada))
		_, err := b.ChangeUser(t.Context(), by, by.UserID, UserChange{Role: new(RoleAdmin)})
		require.Equal(t, ErrAdminRequired, err)
		_, err = b.Invite(t.Context(), by, NewUser{Email: "bob@example.com", Role: RoleAdmin})
		require.Equal(t, ErrAdminRequired, err)
	})
}

func TestIdentity_ChangeUser(t *testing.T) {
	t.Parallel()

	t.Run("Role", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		admin := b.caller(t, b.admin(t))
		source := audit.Source{Actor: audit.User(admin.UserID), RequestID: "request-1", IP: netip.MustParseAddr("203.0.113.9")}
		ctx := audit.WithSource(t.Context(), source)
		session := b.register(t, ada)
		id := session.User.ID
		require.Empty(t, b.caller(t, session).Scopes)

		b.clock.advance(time.Minute)
		user, err := b.ChangeUser(ctx, admin, id, UserChange{Role: new(RoleAdmin)})
		require.NoError(t, err)
		require.Equal(t, RoleAdmin, user.Role)
		require.Equal(t, startStored.Add(time.Minute), user.UpdatedAt)
		require.True(t, b.caller(t, session).IsAdmin(), "it holds from the next request on")
		require.Equal(t, Scopes, b.caller(t, session).Scopes)
		_, err = b.ChangeUser(ctx, admin, id, UserChange{Role: new(RoleAdmin)})
		require.NoError(t, err, "no change")
		b.clock.advance(time.Minute)
		_, err = b.ChangeUser(ctx, admin, id, UserChange{Role: new(RoleUser)})
		require.NoError(t, err)
		require.False(t, b.caller(t, session).IsAdmin())
		require.Empty(t, b.caller(t, session).Scopes)

		events := b.happened(t, audit.PermissionsChanged)
		require.Len(t, events, 2)
		for i, details := range []string{`{"before":"user","after":"admin"}`, `{"before":"admin","after":"user"}`} {
			require.Equal(t, source.Actor, events[i].Actor)
			require.Equal(t, audit.OnUser(id), events[i].Target)
			require.Equal(t, source.RequestID, events[i].RequestID)
			require.Equal(t, source.IP, events[i].IP)
			require.JSONEq(t, details, string(events[i].Details))
		}
		require.Empty(t, b.happened(t, audit.UserUpdated))
	})
	t.Run("Profile", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		user := b.account(t, ada, true)
		user, err := b.ChangeUser(t.Context(), Caller{}, user.ID, UserChange{Name: new("Ada"), Metadata: []byte(`{"plan":"pro"}`)})
		require.NoError(t, err)
		require.Equal(t, "Ada", user.Name)
		require.JSONEq(t, `{"plan":"pro"}`, string(user.Metadata))
		events := b.happened(t, audit.UserUpdated)
		require.Len(t, events, 1)
		require.JSONEq(t, `{"fields":["name","metadata"]}`, string(events[0].Details), "names of fields, no values")

		_, err = b.ChangeUser(t.Context(), Caller{}, user.ID, UserChange{Name: new(strings.Repeat("x", 201))})
		require.Equal(t, "/name", apperr.From(err).Fields[0].Pointer)
	})
}

func TestIdentity_Suspend(t *testing.T) {
	t.Parallel()

	t.Run("HoldsAtOnceUntilItsMoment", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		admin := b.caller(t, b.admin(t))
		ctx := audit.WithSource(t.Context(), audit.Source{Actor: audit.User(admin.UserID)})
		session := b.register(t, ada)
		other := b.register(t, "bob@example.com")
		until := startStored.Add(time.Hour)
		user, err := b.Suspend(ctx, admin, session.User.ID, "spam", &until)
		require.NoError(t, err)
		require.Equal(t, StatusSuspended, user.Status)
		require.Empty(t, cmp.Diff(&Suspension{Reason: new("spam"), Since: startStored, Until: &until}, user.Suspension))
		b.requireEnded(t, session)
		b.caller(t, other)
		_, err = b.LogIn(t.Context(), ada, wrongPassword, Device{})
		require.Equal(t, ErrInvalidCredentials, err)

		b.clock.advance(time.Hour - tick)
		_, err = b.LogIn(t.Context(), ada, rightPassword, Device{})
		require.Equal(t, ErrAccountSuspended, err)
		b.clock.advance(tick)
		again, err := b.LogIn(t.Context(), ada, rightPassword, Device{})
		require.NoError(t, err)
		require.Equal(t, StatusActive, again.User.Status)
		require.Nil(t, again.User.Suspension)
		b.caller(t, again)
		b.refresh(t, again.RefreshToken)
		b.requireRefused(t, session.RefreshToken, ErrInvalidRefresh) // what ended stays so

		events := b.happened(t, audit.UserSuspended)
		require.Len(t, events, 1)
		require.Equal(t, audit.User(admin.UserID), events[0].Actor)
		require.Equal(t, audit.OnUser(session.User.ID), events[0].Target)
		require.JSONEq(t, `{"before":"active","after":"suspended","until":"2026-03-04T06:06:07.123456Z"}`, string(events[0].Details))
		ended := b.happened(t, audit.SessionExpired)
		require.Equal(t, audit.User(admin.UserID), ended[0].Actor)
		endedSession(t, ended[0], "suspended")
	})
	t.Run("UntilMustLieAhead", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		user := b.account(t, ada, true)
		for _, until := range []time.Time{startStored, startStored.Add(-time.Hour), {}} {
			_, err := b.Suspend(t.Context(), Caller{}, user.ID, "", &until)
			require.Equal(t, "/until", apperr.From(err).Fields[0].Pointer)
		}
		require.Empty(t, b.found(t, UserFilter{Status: new(StatusSuspended)}))
	})
	t.Run("ForGoodUntilUnsuspended", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		user := b.account(t, ada, true)
		user, err := b.Suspend(t.Context(), Caller{}, user.ID, "spam", nil)
		require.NoError(t, err)
		require.Nil(t, user.Suspension.Until)
		b.clock.advance(50 * 365 * 24 * time.Hour)
		_, err = b.LogIn(t.Context(), ada, rightPassword, Device{})
		require.Equal(t, ErrAccountSuspended, err)

		user, err = b.Unsuspend(t.Context(), Caller{}, user.ID)
		require.NoError(t, err)
		require.Equal(t, StatusActive, user.Status)
		require.Nil(t, user.Suspension)
		_, err = b.LogIn(t.Context(), ada, rightPassword, Device{})
		require.NoError(t, err)
		_, err = b.Unsuspend(t.Context(), Caller{}, user.ID)
		require.NoError(t, err, "no change")
		events := b.happened(t, audit.UserUnsuspended)
		require.Len(t, events, 1)
		require.Equal(t, audit.System, events[0].Actor)
		require.JSONEq(t, `{"before":"suspended","after":"active"}`, string(events[0].Details))
		require.Zero(t, one[int](t, b, "SELECT count(*) FROM users WHERE num_nonnulls(suspended_at, suspended_until, suspension_reason) > 0"))
	})
	t.Run("Again", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.account(t, ada, true).ID
		until := startStored.Add(time.Hour)
		_, err := b.Suspend(t.Context(), Caller{}, id, "spam", &until)
		require.NoError(t, err)
		b.clock.advance(time.Minute)
		_, err = b.Suspend(t.Context(), Caller{}, id, "fraud", nil)
		require.NoError(t, err)
		b.clock.advance(2 * time.Hour)
		user, err := b.User(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "fraud", *user.Suspension.Reason)
		require.Nil(t, user.Suspension.Until)
		require.JSONEq(t, `{"before":"suspended","after":"suspended","until":null}`, string(b.happened(t, audit.UserSuspended)[1].Details))
	})
}

// A suspension holds on every replica, whatever is under way: afterwards no
// session is alive and nobody is let in.
func TestIdentity_Suspend_DuringRequests(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Passwords.Queue = 200; o.MaxSessions = 1000 })
	replica := b.replica(t, func(o *Options) { o.Passwords.Queue = 200; o.MaxSessions = 1000 })
	id := b.register(t, ada).User.ID
	held := make([]Session, 100)
	for i := range held {
		var err error
		held[i], err = b.LogIn(t.Context(), ada, rightPassword, Device{})
		require.NoError(t, err)
	}
	var mu sync.Mutex
	var let []Session
	var refused, seen atomic.Int32
	reached := make(chan struct{})
	together(len(held)+1, func(i int) {
		if i == len(held) {
			<-reached
			_, err := replica.Suspend(t.Context(), Caller{}, id, "", nil)
			require.NoError(t, err)
			return
		}
		var session Session
		var err error
		service := []*Service{b.Service, replica}[i%2]
		for range 3 {
			switch i % 3 {
			case 0:
				session, err = service.LogIn(t.Context(), ada, rightPassword, Device{})
			case 1:
				session, err = service.Refresh(t.Context(), held[i].RefreshToken, Device{})
			default:
				_, err = service.AuthenticateToken(t.Context(), held[i].AccessToken)
			}
			if err == nil && session.AccessToken != "" {
				mu.Lock()
				let = append(let, session)
				mu.Unlock()
			}
			if err != nil {
				require.Contains(t, []error{ErrAccountSuspended, ErrInvalidCredentials, ErrInvalidRefresh, tokens.ErrInvalid}, err)
				refused.Add(1)
			}
			if seen.Add(1) == 100 {
				close(reached)
			}
		}
	})
	require.NotEmpty(t, let)
	require.NotZero(t, refused.Load(), "the suspension came too late to be in the middle")
	require.Zero(t, one[int](t, b, "SELECT count(*) FROM sessions WHERE ended_at IS NULL"))
	b.requireEnded(t, append(let, held...)...)
	_, err := b.LogIn(t.Context(), ada, rightPassword, Device{})
	require.Equal(t, ErrAccountSuspended, err)
}

func TestIdentity_EndSessionsOf(t *testing.T) {
	t.Parallel()
	b := setup(t)
	admin := b.admin(t)
	ctx := audit.WithSource(t.Context(), audit.Source{Actor: audit.User(admin.User.ID)})
	first := b.register(t, ada)
	second := b.requirePassword(t, rightPassword, wrongPassword)
	require.NoError(t, b.EndSessionsOf(ctx, b.caller(t, admin), first.User.ID))
	b.requireEnded(t, first, second)
	b.caller(t, admin)
	events := b.happened(t, audit.SessionExpired)
	require.Len(t, events, 2)
	for _, event := range events {
		require.Equal(t, audit.User(admin.User.ID), event.Actor)
		endedSession(t, event, "ended_by_admin")
	}
	b.requirePassword(t, rightPassword, wrongPassword)
}

// removing are all the ways to lose an administrator.
var removing = map[string]func(*testing.T, *bundle, Caller, uuid.UUID) error{
	"Demote": administering["Demote"], "Suspend": administering["Suspend"], "Delete": administering["Delete"],
	"SuspendForAWhile": func(t *testing.T, b *bundle, by Caller, id uuid.UUID) error {
		until := b.clock.now().Add(time.Hour)
		_, err := b.Suspend(t.Context(), by, id, "", &until)
		return err
	},
	"DeleteMe": func(t *testing.T, b *bundle, _ Caller, id uuid.UUID) error {
		return b.DeleteMe(t.Context(), Caller{UserID: id, SessionID: uuid.New(), Role: RoleAdmin}, rightPassword)
	},
}

func TestIdentity_LastAdmin(t *testing.T) {
	t.Parallel()
	for name, remove := range removing {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			admin := b.admin(t)
			by := b.caller(t, admin)
			// None of these could administer in the last one's place.
			_, err := b.Invite(t.Context(), by, NewUser{Email: "invited@example.com", Role: RoleAdmin})
			require.NoError(t, err)
			for i, until := range []*time.Time{nil, new(startStored.Add(time.Hour))} {
				user, err := b.CreateUser(t.Context(), NewUser{Email: fmt.Sprintf("suspended%d@example.com", i), Password: rightPassword, Role: RoleAdmin})
				require.NoError(t, err)
				_, err = b.Suspend(t.Context(), by, user.ID, "", until)
				require.NoError(t, err)
			}
			b.account(t, ada, true)

			before := b.cells(t)
			require.Equal(t, ErrLastAdmin, remove(t, b, by, by.UserID))
			require.Empty(t, cmp.Diff(before, b.cells(t)))
			require.True(t, b.caller(t, admin).IsAdmin())
			require.NoError(t, administering["ChangeName"](t, b, by, by.UserID))
			if name != "DeleteMe" { // the invited have no password yet
				require.NoError(t, remove(t, b, by, b.userID(t, "invited@example.com")), "who is not the last one can go")
			}

			b.clock.advance(time.Hour) // one of the suspensions is over
			require.NoError(t, remove(t, b, by, by.UserID))
		})
	}
}

// Two administrators who remove each other at the same moment: one of them stays.
func TestIdentity_LastAdmin_EachOther(t *testing.T) {
	t.Parallel()
	for oneName, one := range removing {
		for otherName, other := range removing {
			if oneName > otherName || oneName == "DeleteMe" || otherName == "DeleteMe" {
				continue
			}
			t.Run(oneName+otherName, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				for range 5 {
					requireOneStays(t, b, func(x, y uuid.UUID) []func() error {
						return []func() error{
							func() error { return one(t, b, Caller{UserID: x, Role: RoleAdmin}, y) },
							func() error { return other(t, b, Caller{UserID: y, Role: RoleAdmin}, x) },
						}
					})
				}
			})
		}
	}
	t.Run("BothLeave", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for range 5 {
			requireOneStays(t, b, func(x, y uuid.UUID) []func() error {
				return []func() error{
					func() error { return removing["DeleteMe"](t, b, Caller{}, x) },
					func() error { return removing["DeleteMe"](t, b, Caller{}, y) },
				}
			})
		}
	})
}

// requireOneStays makes two administrators, the only ones, and runs what would
// remove both.
func requireOneStays(t *testing.T, b *bundle, remove func(x, y uuid.UUID) []func() error) {
	t.Helper()
	_, err := b.db.Pool.Exec(t.Context(), "UPDATE users SET role = 'user'")
	require.NoError(t, err)
	var admins []uuid.UUID
	for range 2 {
		admin, err := b.CreateUser(t.Context(), NewUser{Email: uuid.NewString() + "@example.com", Password: rightPassword, Role: RoleAdmin})
		require.NoError(t, err)
		admins = append(admins, admin.ID)
	}
	removals := remove(admins[0], admins[1])
	errs := make([]error, len(removals))
	together(len(removals), func(i int) { errs[i] = removals[i]() })
	slices.SortFunc(errs, func(x, _ error) int {
		if x == nil {
			return -1
		}
		return 1
	})
	require.NoError(t, errs[0])
	require.ErrorIs(t, errors.Join(errs[1:]...), ErrLastAdmin)
	require.Equal(t, 1, one[int](t, b, "SELECT count(*) FROM users WHERE role = 'admin' AND status = 'active' AND deleted_at IS NULL"))
}
