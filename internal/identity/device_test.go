package identity

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/mailer"
)

const (
	firefox      = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	newerFirefox = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0"
	chrome       = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)

func on(agent, ip string) Device {
	return Device{UserAgent: agent, IP: netip.MustParseAddr(ip)}
}

func (b *bundle) logInOn(t *testing.T, email string, d Device) Session {
	t.Helper()
	session, err := b.LogIn(t.Context(), email, rightPassword, d)
	require.NoError(t, err)
	return session
}

func TestIdentity_NewSignIn(t *testing.T) {
	t.Parallel()

	t.Run("AnotherDeviceThanBefore", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		_, err := p.Register(t.Context(), NewUser{Email: ada, Password: rightPassword}, on(firefox, "192.0.2.1"))
		require.NoError(t, err)
		p.requirePost(t, "verify_email "+ada) // and nothing about the first device
		p.logInOn(t, ada, on(firefox, "192.0.2.1"))
		p.logInOn(t, ada, on(newerFirefox, "203.0.113.9")) // updated, and on a journey
		p.requirePost(t)

		p.logInOn(t, ada, on(chrome, "203.0.113.66"))
		told := p.requirePost(t, "new_sign_in "+ada)[0]
		require.Contains(t, told.Text, "203.0.113.66")
		require.Contains(t, told.Text, "Chrome · Windows")
		p.logInOn(t, ada, on(chrome, "198.51.100.1"))
		p.logInOn(t, ada, on(firefox, "192.0.2.1"))
		p.requirePost(t)
		p.logInOn(t, ada, Device{}) // one that does not say what it is
		p.requirePost(t, "new_sign_in "+ada)
		p.logInOn(t, ada, Device{})
		p.requirePost(t)
	})

	t.Run("NotTheFirstLogin", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.account(t, ada, true) // made by an operator, as an invited or a verified one is
		b.account(t, "bob@example.com", true)
		b.logInOn(t, ada, on(firefox, "192.0.2.1"))
		require.Zero(t, b.mailed(t, mailer.NewSignIn))
		b.logInOn(t, "bob@example.com", on(chrome, "192.0.2.1"))
		require.Zero(t, b.mailed(t, mailer.NewSignIn), "what others have does not count")
	})

	t.Run("NotWhoFails", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.register(t, ada)
		_, err := b.LogIn(t.Context(), ada, wrongPassword, on(chrome, "192.0.2.1"))
		require.Equal(t, ErrInvalidCredentials, err)
		require.Zero(t, b.mailed(t, mailer.NewSignIn))
		require.Equal(t, 1, b.count(t, "user_devices"))
	})

	t.Run("ManyAtOnceAreOne", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(o *Options) { o.Passwords.Queue = 100 })
		b.register(t, ada)
		together(20, func(int) { b.logInOn(t, ada, on(chrome, "192.0.2.1")) })
		require.Equal(t, 1, b.mailed(t, mailer.NewSignIn))
	})

	// Nobody fills the table by making up a program for every login.
	t.Run("TheNewestAreKept", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.register(t, ada)
		for i := range devicesKept + 5 {
			b.clock.advance(time.Second)
			b.logInOn(t, ada, on(fmt.Sprintf("Made%cUp%c", 'A'+i%26, 'A'+i/26), "192.0.2.1"))
			if i%10 == 0 { // used all the time
				b.logInOn(t, ada, on(firefox, "192.0.2.1"))
			}
		}
		require.Equal(t, devicesKept, b.count(t, "user_devices"))
		require.Equal(t, "Firefox · Linux", one[string](t, b, "SELECT device FROM user_devices WHERE device LIKE 'F%'"))
		require.Zero(t, one[int](t, b, "SELECT count(*) FROM user_devices WHERE device IN ('', 'MadeAUpA')"), "the oldest are gone")
	})

	t.Run("SwitchedOff", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.disable(t, mailer.NewSignIn)
		p.register(t, ada)
		p.logInOn(t, ada, on(chrome, "192.0.2.1"))
		p.requirePost(t, "verify_email "+ada)
		require.Equal(t, 2, p.count(t, "user_devices"), "switched on again it knows what is new")
	})
}

func TestIdentity_ExportOf_Devices(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.register(t, ada).User.ID
	b.clock.advance(time.Hour)
	b.logInOn(t, ada, on(chrome, "192.0.2.1"))
	b.account(t, "bob@example.com", true)
	b.logInOn(t, "bob@example.com", on(firefox, "192.0.2.1"))
	export, err := b.ExportOf(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, []KnownDevice{
		{Name: "Chrome · Windows", FirstSeenAt: startStored.Add(time.Hour), LastSeenAt: startStored.Add(time.Hour)},
		{Name: "", FirstSeenAt: startStored, LastSeenAt: startStored},
	}, export.Devices)
	require.NoError(t, b.DeleteUser(t.Context(), Caller{Role: RoleAdmin}, id))
	require.Zero(t, one[int](t, b, "SELECT count(*) FROM user_devices WHERE user_id = $1", id))
}
