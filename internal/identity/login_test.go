package identity

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
)

func TestIdentity_LogIn(t *testing.T) {
	t.Parallel()

	t.Run("StartsASession", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first := b.register(t, ada)
		b.clock.advance(time.Minute)
		second, err := b.LogIn(t.Context(), ada, rightPassword, Device{})
		require.NoError(t, err)

		want, later := first, startStored.Add(time.Minute)
		want.User.LastLoginAt = &later
		require.Empty(t, cmp.Diff(want, second, cmpopts.IgnoreFields(Session{}, "AccessToken", "RefreshToken")))
		require.NotEqual(t, first.RefreshToken, second.RefreshToken)
		require.NotEqual(t, b.caller(t, first).SessionID, b.caller(t, second).SessionID)
	})
	t.Run("AnyVariantOfTheAddress", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.register(t, variants[0]).User.ID
		for _, variant := range variants {
			session, err := b.LogIn(t.Context(), variant, rightPassword, Device{})
			require.NoError(t, err, variant)
			require.Equal(t, id, session.User.ID)
		}
	})
	t.Run("OtherUsersPassword", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.register(t, ada)
		_, err := b.Register(t.Context(), NewUser{Email: "bob@example.com", Password: wrongPassword}, Device{})
		require.NoError(t, err)
		_, err = b.LogIn(t.Context(), ada, wrongPassword, Device{})
		require.Equal(t, ErrInvalidCredentials, err)
	})
	t.Run("UserWithoutPassword", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.register(t, ada)
		b.exec(t, "UPDATE users SET password_hash = NULL")
		for _, password := range []string{"", rightPassword} {
			_, err := b.LogIn(t.Context(), ada, password, Device{})
			require.Equal(t, ErrInvalidCredentials, err)
		}
	})
	t.Run("OtherPepper", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(o *Options) { o.Passwords.Pepper = somePepper })
		b.register(t, ada)
		other := b.replica(t, func(o *Options) { o.Passwords.Pepper = otherPepper })
		_, err := other.LogIn(t.Context(), ada, rightPassword, Device{})
		require.Equal(t, ErrInvalidCredentials, err)
		same := b.replica(t, func(o *Options) { o.Passwords.Pepper = somePepper })
		_, err = same.LogIn(t.Context(), ada, rightPassword, Device{})
		require.NoError(t, err)
	})
	t.Run("OtherCost", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.register(t, ada)
		costlier := b.replica(t, func(o *Options) { o.Passwords.Cost = 5 })
		_, err := costlier.LogIn(t.Context(), ada, rightPassword, Device{})
		require.NoError(t, err)
	})
}

// Whoever has not proven a password learns nothing of an account.
func TestIdentity_LogIn_Refused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t, ada)
	b.register(t, "suspended@example.com")
	b.exec(t, "UPDATE users SET status = 'suspended' WHERE email = 'suspended@example.com'")
	before := b.count(t, "sessions")

	for name, test := range map[string]struct{ email, password string }{
		"WrongPassword":     {ada, wrongPassword},
		"EmptyPassword":     {ada, ""},
		"PasswordCut":       {ada, rightPassword[:len(rightPassword)-1]},
		"HugePassword":      {ada, strings.Repeat("x", 60_000)},
		"SuspendedAndWrong": {"suspended@example.com", wrongPassword},
		"UnknownAddress":    {"nobody@example.com", rightPassword},
		"NoAddress":         {"", rightPassword},
		"MalformedAddress":  {"ada", rightPassword},
		"NULInAddress":      {"ada\x00@example.com", rightPassword},
		"InvalidUTF8":       {"\xff@example.com", rightPassword},
		"Wildcard":          {"%@example.com", rightPassword},
		"HugeAddress":       {strings.Repeat("a", 60_000) + "@example.com", rightPassword},
	} {
		t.Run(name, func(t *testing.T) {
			session, err := b.LogIn(t.Context(), test.email, test.password, Device{})
			require.Equal(t, ErrInvalidCredentials, err, "also without a cause of its own")
			require.Zero(t, session)
		})
	}
	t.Run("SuspendedAndRight", func(t *testing.T) {
		session, err := b.LogIn(t.Context(), "suspended@example.com", rightPassword, Device{})
		require.Equal(t, ErrAccountSuspended, err)
		require.Zero(t, session)
	})
	require.Equal(t, before, b.count(t, "sessions"))
}

// What is stored of where a session was started.
func TestIdentity_LogIn_Device(t *testing.T) {
	t.Parallel()
	type stored struct {
		Agent string
		IP    *netip.Addr
	}
	address := func(text string) *netip.Addr { a := netip.MustParseAddr(text); return &a }

	for name, test := range map[string]struct {
		device Device
		want   stored
	}{
		"Nothing": {Device{}, stored{}},
		"IPv4":    {Device{IP: netip.MustParseAddr("192.0.2.1"), UserAgent: "curl/8"}, stored{"curl/8", address("192.0.2.1")}},
		"IPv6":    {Device{IP: netip.MustParseAddr("2001:db8::1")}, stored{"", address("2001:db8::1")}},
		"Zone":    {Device{IP: netip.MustParseAddr("fe80::1%eth0")}, stored{"", address("fe80::1")}},
		"Hostile": {Device{UserAgent: "a\x00\xff\r\nb" + strings.Repeat("é", 400)}, stored{"ab" + strings.Repeat("é", 298), nil}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			_, err := b.Register(t.Context(), NewUser{Email: ada, Password: rightPassword}, test.device)
			require.NoError(t, err)
			got := stored{one[string](t, b, "SELECT user_agent FROM sessions"), one[*netip.Addr](t, b, "SELECT ip FROM sessions")}
			require.Empty(t, cmp.Diff(test.want, got, cmp.Comparer(func(x, y netip.Addr) bool { return x == y })))
		})
	}
}

func TestIdentity_CleanAgent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ in, want string }{
		"Empty":           {"", ""},
		"AsItIs":          {"Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (X11; Linux x86_64)"},
		"OtherScripts":    {"Браузер/1 ブラウザ", "Браузер/1 ブラウザ"},
		"InvalidUTF8":     {"a\xff\xc3b\xe2\x82", "ab"},
		"NUL":             {"a\x00b", "ab"},
		"Lines":           {"a\r\nSet-Cookie: b\tc", "aSet-Cookie: bc"},
		"Escapes":         {"\x1b[31mred\x7f\u0085", "[31mred"},
		"Bidi":            {"a\u202eb\u200bc\ufeffd", "abcd"},
		"NothingRemains":  {"\x01\x02\xff", ""},
		"Most":            {strings.Repeat("a", 300), strings.Repeat("a", 300)},
		"TooLong":         {strings.Repeat("a", 299) + "bc", strings.Repeat("a", 299) + "b"},
		"TooLongRunes":    {strings.Repeat("é", 301), strings.Repeat("é", 300)},
		"CleanedThenCut":  {strings.Repeat("\x00", 300) + "a", "a"},
		"VeryLong":        {strings.Repeat("😀", 100_000), strings.Repeat("😀", 300)},
		"VeryLongInvalid": {strings.Repeat("\xff", 1_000_000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, CleanAgent(test.in))
		})
	}
}
