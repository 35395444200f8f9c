package identity

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/ratelimit"
)

// limited sets limits that are hard to reach, and then those of a test.
func limited(change func(*Limits)) func(*Options) {
	return func(o *Options) {
		wide := ratelimit.Rate{Attempts: 10_000, Span: time.Hour}
		o.Limits = Limits{
			LoginPerAddress: wide, LoginPerPair: wide, LoginPerAccount: wide, LoginUnderAttack: wide,
			RegisterPerAddress: wide, MailPerAddress: wide, MailPerAccount: wide, LinkPerAddress: wide,
			RefreshPerAddress: wide, ConfirmPerSession: wide,
		}
		change(&o.Limits)
	}
}

// clientAt is a device at the i-th address of a network for documentation.
func clientAt(i int) Device {
	return Device{IP: netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})}
}

// requireWait checks that an attempt was refused, and until when.
func requireWait(t *testing.T, want time.Duration, err error) {
	t.Helper()
	require.Error(t, err)
	refusal := apperr.From(err)
	require.Equal(t, apperr.TooMany, refusal.Kind, "%v", err)
	require.Equal(t, "too_many_attempts", refusal.Code)
	require.Equal(t, want, refusal.RetryAfter)
}

// Every kind of attempt is limited: so many at once, and then one in each part
// of the span, exactly when the refusal said.
func TestIdentity_Limits(t *testing.T) {
	t.Parallel()
	rate := ratelimit.Rate{Attempts: 3, Span: 3 * time.Minute}
	type try func(ctx context.Context, b *bundle, ada Caller, d Device) error
	var (
		logIn = func(email string) try {
			return func(ctx context.Context, b *bundle, _ Caller, d Device) error {
				_, err := b.LogIn(ctx, email, wrongPassword, d)
				return err
			}
		}
		register = func(n NewUser) try {
			return func(ctx context.Context, b *bundle, _ Caller, d Device) error {
				_, err := b.Register(ctx, n, d)
				return err
			}
		}
		forgot = func(email string) try {
			return func(ctx context.Context, b *bundle, _ Caller, d Device) error {
				return b.ForgotPassword(ctx, email, d)
			}
		}
		resend = func(email string) try {
			return func(ctx context.Context, b *bundle, _ Caller, d Device) error {
				return b.ResendVerification(ctx, email, d)
			}
		}
		reset try = func(ctx context.Context, b *bundle, _ Caller, d Device) error {
			return b.ResetPassword(ctx, "aset_unknown", "another good password", d)
		}
		verify try = func(ctx context.Context, b *bundle, _ Caller, d Device) error {
			return b.VerifyEmail(ctx, "avet_unknown", d)
		}
		refresh try = func(ctx context.Context, b *bundle, _ Caller, d Device) error {
			_, err := b.Refresh(ctx, "art_unknown", d)
			return err
		}
		changePassword try = func(ctx context.Context, b *bundle, ada Caller, d Device) error {
			return b.ChangePassword(ctx, ada, wrongPassword, "another good password", d)
		}
		changeEmail try = func(ctx context.Context, b *bundle, ada Caller, d Device) error {
			return b.ChangeEmail(ctx, ada, "new@example.com", wrongPassword, d)
		}
		changeEmailRight try = func(ctx context.Context, b *bundle, ada Caller, d Device) error {
			return b.ChangeEmail(ctx, ada, "new@example.com", rightPassword, d)
		}
		deleteMe try = func(ctx context.Context, b *bundle, ada Caller, _ Device) error {
			return b.DeleteMe(ctx, ada, wrongPassword)
		}
	)
	// Two tries share a limit; a third does not, or is from another address.
	for name, test := range map[string]struct {
		set        func(*Limits)
		one, two   try
		want       error // of one and two while they are within the limit
		everywhere bool  // whatever the address
	}{
		"Login":             {func(l *Limits) { l.LoginPerPair = rate }, logIn(ada), logIn("ADA@example.com"), ErrInvalidCredentials, false},
		"LoginUnknown":      {func(l *Limits) { l.LoginPerPair = rate }, logIn("nobody@example.com"), logIn("Nobody@example.com"), ErrInvalidCredentials, false},
		"LoginNoAddress":    {func(l *Limits) { l.LoginPerPair = rate }, logIn("nobody"), logIn("NOBODY"), ErrInvalidCredentials, false},
		"LoginAnyAccount":   {func(l *Limits) { l.LoginPerAddress = rate }, logIn(ada), logIn("nobody@example.com"), ErrInvalidCredentials, false},
		"Register":          {func(l *Limits) { l.RegisterPerAddress = rate }, register(NewUser{Email: ada, Password: rightPassword}), register(NewUser{Email: "Ada@example.com", Password: rightPassword}), ErrEmailTaken, false},
		"RegisterInvalid":   {func(l *Limits) { l.RegisterPerAddress = rate }, register(NewUser{Email: "ada"}), register(NewUser{}), ErrInvalidEmail, false},
		"Mail":              {func(l *Limits) { l.MailPerAddress = rate }, forgot(ada), resend("nobody@example.com"), nil, false},
		"MailChange":        {func(l *Limits) { l.MailPerAddress = rate }, forgot("nobody@example.com"), changeEmailRight, nil, false},
		"MailToAccount":     {func(l *Limits) { l.MailPerAccount = rate }, forgot(ada), resend("ADA@example.com"), nil, true},
		"MailToUnknown":     {func(l *Limits) { l.MailPerAccount = rate }, forgot("nobody@example.com"), resend("nobody@example.com"), nil, true},
		"MailToNew":         {func(l *Limits) { l.MailPerAccount = rate }, forgot("new@example.com"), changeEmailRight, nil, true},
		"Link":              {func(l *Limits) { l.LinkPerAddress = rate }, reset, verify, ErrInvalidToken, false},
		"Refresh":           {func(l *Limits) { l.RefreshPerAddress = rate }, refresh, refresh, ErrInvalidRefresh, false},
		"Confirm":           {func(l *Limits) { l.ConfirmPerSession = rate }, changePassword, changeEmail, ErrWrongPassword, true},
		"ConfirmToDeletion": {func(l *Limits) { l.ConfirmPerSession = rate }, deleteMe, changePassword, ErrWrongPassword, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, limited(test.set))
			caller := b.caller(t, b.register(t, ada))
			here, elsewhere := clientAt(1), clientAt(2)

			require.Equal(t, test.want, test.one(t.Context(), b, caller, here))
			require.Equal(t, test.want, test.two(t.Context(), b, caller, here))
			require.Equal(t, test.want, test.one(t.Context(), b, caller, here))
			for range 3 {
				requireWait(t, time.Minute, test.one(t.Context(), b, caller, here))
				requireWait(t, time.Minute, test.two(t.Context(), b, caller, here))
			}
			if test.everywhere {
				requireWait(t, time.Minute, test.one(t.Context(), b, caller, elsewhere))
			} else {
				require.Equal(t, test.want, test.one(t.Context(), b, caller, elsewhere))
			}

			b.clock.advance(time.Minute - tick)
			requireWait(t, tick, test.one(t.Context(), b, caller, here))
			b.clock.advance(tick)
			require.Equal(t, test.want, test.two(t.Context(), b, caller, here))
			requireWait(t, time.Minute, test.one(t.Context(), b, caller, here))

			b.clock.advance(10 * time.Minute)
			for range rate.Attempts {
				require.Equal(t, test.want, test.one(t.Context(), b, caller, here))
			}
			requireWait(t, time.Minute, test.two(t.Context(), b, caller, here))
		})
	}
}

// A refused attempt is not looked at: no password is checked, nothing stored,
// and even what is right is refused.
func TestIdentity_Limits_RefusedIsNotTried(t *testing.T) {
	t.Parallel()
	once := ratelimit.Rate{Attempts: 1, Span: time.Minute}
	b := setup(t, limited(func(l *Limits) {
		l.LoginPerPair, l.RegisterPerAddress, l.MailPerAccount, l.RefreshPerAddress, l.ConfirmPerSession = once, once, once, once, once
	}))
	session := b.register(t, ada)
	caller := b.caller(t, session)
	_, err := b.LogIn(t.Context(), ada, wrongPassword, Device{})
	require.Equal(t, ErrInvalidCredentials, err)
	_, err = b.Refresh(t.Context(), "art_unknown", Device{})
	require.Equal(t, ErrInvalidRefresh, err)
	require.NoError(t, b.ForgotPassword(t.Context(), ada, Device{}))
	require.Equal(t, ErrWrongPassword, b.DeleteMe(t.Context(), caller, wrongPassword))

	tables := []string{"users", "sessions", "refresh_tokens", "audit_events", "river_job"}
	before := map[string]int{}
	for _, table := range tables {
		before[table] = b.count(t, table)
	}
	defer busy(b.hasher)() // who asked for a hash would be refused otherwise
	b.hasher.pool.waiting.Store(defaultQueue)
	_, err = b.LogIn(t.Context(), ada, rightPassword, Device{})
	requireWait(t, time.Minute, err)
	made, err := b.Register(t.Context(), NewUser{Email: "bob@example.com", Password: rightPassword}, Device{})
	requireWait(t, time.Minute, err)
	require.Nil(t, made)
	_, err = b.Refresh(t.Context(), session.RefreshToken, Device{})
	requireWait(t, time.Minute, err)
	requireWait(t, time.Minute, b.ForgotPassword(t.Context(), ada, Device{}))
	requireWait(t, time.Minute, b.DeleteMe(t.Context(), caller, rightPassword))
	for _, table := range tables {
		require.Equal(t, before[table], b.count(t, table), table)
	}
}

// However many come at once, and to whatever replica.
func TestIdentity_Limits_Parallel(t *testing.T) {
	t.Parallel()
	const allowed, attempts = 8, 100
	few := limited(func(l *Limits) { l.LoginPerPair = ratelimit.Rate{Attempts: allowed, Span: time.Hour} })
	for name, email := range map[string]string{"Known": ada, "Unknown": "nobody@example.com"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, few)
			b.register(t, ada)
			services := []*Service{b.Service, b.replica(t, few)}
			errs := make([]error, attempts)
			together(attempts, func(i int) {
				_, errs[i] = services[i%len(services)].LogIn(t.Context(), email, wrongPassword, clientAt(1))
			})
			evaluated := 0
			for _, err := range errs {
				if err == ErrInvalidCredentials { //nolint:errorlint // the very value
					evaluated++
					continue
				}
				requireWait(t, time.Hour/allowed, err)
			}
			require.Equal(t, allowed, evaluated)
			require.Len(t, b.happened(t, audit.LoginFail), allowed)
		})
	}
}

// Who knows the password is not slowed down by using it.
func TestIdentity_Limits_RightPasswordIsGivenBack(t *testing.T) {
	t.Parallel()
	two := ratelimit.Rate{Attempts: 2, Span: time.Hour}
	for name, set := range map[string]func(*Limits){
		"Address": func(l *Limits) { l.LoginPerAddress = two },
		"Pair":    func(l *Limits) { l.LoginPerPair = two },
		"Account": func(l *Limits) { l.LoginPerAccount, l.LoginUnderAttack = two, two },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, limited(set))
			b.register(t, ada)
			logIn := func(password string) error {
				_, err := b.LogIn(t.Context(), ada, password, clientAt(1))
				return err
			}
			for range 5 {
				require.NoError(t, logIn(rightPassword))
			}
			require.Equal(t, ErrInvalidCredentials, logIn(wrongPassword))
			for range 5 {
				require.NoError(t, logIn(rightPassword))
			}
			require.Equal(t, ErrInvalidCredentials, logIn(wrongPassword))
			requireWait(t, 30*time.Minute, logIn(rightPassword))
		})
	}
	t.Run("Suspended", func(t *testing.T) {
		t.Parallel()
		b := setup(t, limited(func(l *Limits) { l.LoginPerPair = two }))
		_, err := b.Suspend(t.Context(), Caller{}, b.register(t, ada).User.ID, "spam", nil)
		require.NoError(t, err)
		for range 5 {
			_, err := b.LogIn(t.Context(), ada, rightPassword, Device{})
			require.Equal(t, ErrAccountSuspended, err)
		}
	})
	t.Run("Confirm", func(t *testing.T) {
		t.Parallel()
		b := setup(t, limited(func(l *Limits) { l.ConfirmPerSession = two }))
		first := b.caller(t, b.register(t, ada))
		session, err := b.LogIn(t.Context(), ada, rightPassword, Device{})
		require.NoError(t, err)
		other := b.caller(t, session)
		confirm := func(c Caller, password string) error {
			return b.ChangeEmail(t.Context(), c, "new@example.com", password, Device{})
		}
		for range 5 {
			require.NoError(t, confirm(first, rightPassword))
		}
		require.Equal(t, ErrWrongPassword, confirm(first, wrongPassword))
		require.Equal(t, ErrWrongPassword, confirm(first, wrongPassword))
		requireWait(t, 30*time.Minute, confirm(first, rightPassword))
		require.NoError(t, confirm(other, rightPassword), "whoever found one session does not hinder another")
	})
}

// An attacker with many addresses can slow the guessing of others down, but not
// lock anybody out who comes from elsewhere with the right password.
func TestIdentity_Limits_UnderAttack(t *testing.T) {
	t.Parallel()
	const (
		addresses, each  = 200, 3
		perAccount       = 20
		underAttack      = 2
		freely           = perAccount / each * each // by the first addresses, all their attempts
		evaluatedAtLarge = freely + (addresses-perAccount/each)*underAttack
	)
	for name, email := range map[string]string{"Known": ada, "Unknown": "nobody@example.com"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, limited(func(l *Limits) {
				l.LoginPerAccount = ratelimit.Rate{Attempts: perAccount, Span: time.Hour}
				l.LoginUnderAttack = ratelimit.Rate{Attempts: underAttack, Span: time.Hour}
			}))
			b.register(t, ada)
			evaluated := 0
			for i := range addresses {
				for range each {
					_, err := b.LogIn(t.Context(), email, wrongPassword, clientAt(i))
					if err == ErrInvalidCredentials { //nolint:errorlint // the very value
						evaluated++
						continue
					}
					require.Equal(t, apperr.TooMany, apperr.From(err).Kind)
				}
			}
			require.Equal(t, evaluatedAtLarge, evaluated)

			_, err := b.LogIn(t.Context(), email, rightPassword, clientAt(100))
			requireWait(t, 3*time.Minute, err) // the account's next turn, which comes before the address's
			_, err = b.LogIn(t.Context(), email, wrongPassword, clientAt(addresses))
			require.Equal(t, ErrInvalidCredentials, err, "some attempts from everywhere")
			if email == ada {
				for range 5 {
					_, err = b.LogIn(t.Context(), ada, rightPassword, clientAt(addresses+1))
					require.NoError(t, err)
				}
			}
		})
	}
	t.Run("AllAtOnce", func(t *testing.T) {
		t.Parallel()
		b := setup(t, limited(func(l *Limits) {
			l.LoginPerAccount = ratelimit.Rate{Attempts: 5, Span: time.Hour}
			l.LoginUnderAttack = ratelimit.Rate{Attempts: 1, Span: time.Hour}
		}), func(o *Options) { o.Passwords.Queue = 1000 })
		b.register(t, ada)
		var victim []error
		together(addresses, func(i int) {
			if i == addresses-1 {
				for range 5 {
					_, err := b.LogIn(t.Context(), ada, rightPassword, clientAt(i))
					victim = append(victim, err)
				}
				return
			}
			for range each {
				_, _ = b.LogIn(t.Context(), ada, wrongPassword, clientAt(i)) // whatever comes of it
			}
		})
		require.Equal(t, make([]error, 5), victim)
	})
}

// What one customer is given counts as one address.
func TestIdentity_Limits_Address(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		one, two string
		same     bool
	}{
		"IPv4":             {"192.0.2.1", "192.0.2.1", true},
		"IPv4Neighbours":   {"192.0.2.1", "192.0.2.2", false},
		"IPv4Mapped":       {"192.0.2.1", "::ffff:192.0.2.1", true},
		"IPv4MappedOthers": {"::ffff:192.0.2.2", "::ffff:192.0.2.1", false},
		"IPv6":             {"2001:db8::1", "2001:db8::1", true},
		"IPv6Network":      {"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true},
		"IPv6Neighbours":   {"2001:db8::1", "2001:db8:0:1::1", false},
		"IPv6Zone":         {"fe80::1%eth0", "fe80::2%eth1", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, limited(func(l *Limits) { l.LoginPerPair = ratelimit.Rate{Attempts: 1, Span: time.Minute} }))
			try := func(ip string) error {
				_, err := b.LogIn(t.Context(), "nobody@example.com", wrongPassword, Device{IP: netip.MustParseAddr(ip)})
				return err
			}
			require.Equal(t, ErrInvalidCredentials, try(test.one))
			if test.same {
				requireWait(t, time.Minute, try(test.two))
			} else {
				require.Equal(t, ErrInvalidCredentials, try(test.two))
			}
		})
	}
}

// Limits name nobody: who reads the table learns neither accounts nor addresses.
func TestIdentity_Limits_Anonymous(t *testing.T) {
	t.Parallel()
	b := setup(t, limited(func(*Limits) {}))
	_, err := b.LogIn(t.Context(), ada, wrongPassword, clientAt(1))
	require.Equal(t, ErrInvalidCredentials, err)
	require.NoError(t, b.ForgotPassword(t.Context(), ada, clientAt(1)))
	require.Positive(t, b.count(t, "rate_limits"))
	for column, values := range b.cells(t) {
		for _, value := range values {
			require.NotContains(t, string(value), ada, column)
			require.NotContains(t, string(value), "198.51.100", column)
		}
	}
}
