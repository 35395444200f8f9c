package identity

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/tokens"
)

const day = 24 * time.Hour

// refresh exchanges a token that must be good.
func (b *bundle) refresh(t *testing.T, token string) Session {
	t.Helper()
	session, err := b.Refresh(t.Context(), token, Device{})
	require.NoError(t, err)
	return session
}

func (b *bundle) requireRefused(t *testing.T, token string, want error) {
	t.Helper()
	session, err := b.Refresh(t.Context(), token, Device{})
	require.Equal(t, want, err)
	require.Zero(t, session)
}

// requireEnded checks that nothing of a session works any more.
func (b *bundle) requireEnded(t *testing.T, parts ...Session) {
	t.Helper()
	for _, s := range parts {
		_, err := b.AuthenticateToken(t.Context(), s.AccessToken)
		require.Equal(t, tokens.ErrInvalid, err)
		b.requireRefused(t, s.RefreshToken, ErrInvalidRefresh)
	}
}

func TestIdentity_Refresh(t *testing.T) {
	t.Parallel()

	t.Run("Rotates", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first := b.register(t, ada)
		b.clock.advance(time.Minute)
		second := b.refresh(t, first.RefreshToken)

		require.Empty(t, cmp.Diff(first, second, cmpopts.IgnoreFields(Session{}, "AccessToken", "RefreshToken")))
		require.Regexp(t, `^art_[A-Za-z0-9_-]{43}$`, second.RefreshToken)
		require.NotEqual(t, first.RefreshToken, second.RefreshToken)
		require.NotEqual(t, first.AccessToken, second.AccessToken)
		require.Empty(t, cmp.Diff(b.caller(t, first), b.caller(t, second)), "it is the same session")
		require.Equal(t, startStored.Add(time.Minute), one[time.Time](t, b, "SELECT last_used_at FROM sessions"))

		third := b.refresh(t, second.RefreshToken)
		require.NotContains(t, []string{first.RefreshToken, second.RefreshToken}, third.RefreshToken)
	})
	t.Run("TellsTheRoleOfNow", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		admin := b.admin(t)
		b.exec(t, "UPDATE users SET role = 'user'")
		require.Equal(t, RoleUser, b.refresh(t, admin.RefreshToken).User.Role)
	})
	t.Run("GraceGivesTheSameSuccessor", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first := b.register(t, ada)
		sessions, errs := make([]Session, 20), make([]error, 20)
		together(len(sessions), func(i int) { sessions[i], errs[i] = b.Refresh(t.Context(), first.RefreshToken, Device{}) })

		for i, session := range sessions {
			require.NoError(t, errs[i])
			require.Equal(t, sessions[0].RefreshToken, session.RefreshToken)
			require.Equal(t, sessions[0].RefreshExpiresIn, session.RefreshExpiresIn)
			b.caller(t, session)
		}
		require.Equal(t, 2, b.count(t, "refresh_tokens"), "the first and one successor")
		b.refresh(t, sessions[0].RefreshToken)
	})
	t.Run("GraceHoldsOnEveryReplica", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first := b.register(t, ada)
		second := b.refresh(t, first.RefreshToken)
		again, err := b.replica(t).Refresh(t.Context(), first.RefreshToken, Device{})
		require.NoError(t, err)
		require.Equal(t, second.RefreshToken, again.RefreshToken)
	})
	t.Run("GraceReachesOverExchanges", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first := b.register(t, ada)
		second := b.refresh(t, first.RefreshToken)
		third := b.refresh(t, second.RefreshToken)
		// A slow tab follows the same chain and ends up with the same token.
		slow := b.refresh(t, first.RefreshToken)
		require.Equal(t, second.RefreshToken, slow.RefreshToken)
		require.Equal(t, third.RefreshToken, b.refresh(t, slow.RefreshToken).RefreshToken)
	})
	t.Run("GraceEnds", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first := b.register(t, ada)
		second := b.refresh(t, first.RefreshToken)
		b.clock.advance(30 * time.Second)
		again := b.refresh(t, first.RefreshToken)
		require.Equal(t, second.RefreshToken, again.RefreshToken)
		require.Equal(t, 30*day-30*time.Second, again.RefreshExpiresIn, "the successor is not younger for it")
		b.clock.advance(tick)
		b.requireRefused(t, first.RefreshToken, ErrRefreshReused)
	})
	t.Run("NoGrace", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(o *Options) { o.RefreshGrace = 0 })
		first := b.register(t, ada)
		b.refresh(t, first.RefreshToken)
		b.clock.advance(tick)
		b.requireRefused(t, first.RefreshToken, ErrRefreshReused)
	})
}

func TestIdentity_Refresh_Reuse(t *testing.T) {
	t.Parallel()
	const generations = 4
	for name, reused := range map[string]int{"Parent": generations - 2, "Grandparent": generations - 3, "First": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			chain := []Session{b.register(t, ada)}
			for len(chain) < generations {
				b.clock.advance(time.Second)
				chain = append(chain, b.refresh(t, chain[len(chain)-1].RefreshToken))
			}
			other, err := b.LogIn(t.Context(), ada, rightPassword, Device{})
			require.NoError(t, err)
			bob := b.register(t, "bob@example.com")

			b.clock.advance(time.Minute)
			for _, s := range chain {
				b.caller(t, s)
			}
			b.requireRefused(t, chain[reused].RefreshToken, ErrRefreshReused)

			b.requireEnded(t, chain...)
			require.Equal(t, "refresh_token_reused", one[string](t, b, "SELECT end_reason FROM sessions WHERE ended_at IS NOT NULL"))
			b.caller(t, other)
			b.refresh(t, other.RefreshToken)
			b.caller(t, bob)
			b.refresh(t, bob.RefreshToken)
		})
	}
	t.Run("ManyAtOnce", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first := b.register(t, ada)
		second := b.refresh(t, first.RefreshToken)
		b.clock.advance(time.Minute)
		errs := make([]error, 20)
		together(len(errs), func(i int) { _, errs[i] = b.Refresh(t.Context(), first.RefreshToken, Device{}) })
		reused := 0
		for _, err := range errs {
			if err != ErrInvalidRefresh { //nolint:errorlint // the very value
				require.Equal(t, ErrRefreshReused, err)
				reused++
			}
		}
		require.Equal(t, 1, reused, "the others find the session ended")
		b.requireEnded(t, first, second)
	})
}

func TestIdentity_Refresh_Expiry(t *testing.T) {
	t.Parallel()

	t.Run("Idle", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		session := b.register(t, ada)
		b.clock.advance(30*day - tick)
		session = b.refresh(t, session.RefreshToken)
		require.Equal(t, 30*day, session.RefreshExpiresIn)
		b.clock.advance(30 * day)
		b.requireRefused(t, session.RefreshToken, ErrInvalidRefresh)
	})
	t.Run("SessionEndBoundsTheFirst", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(o *Options) { o.SessionTTL = 7 * day })
		require.Equal(t, 7*day, b.register(t, ada).RefreshExpiresIn)
	})
	t.Run("SessionEndBoundsAll", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		session := b.register(t, ada)
		for _, step := range []struct{ later, want time.Duration }{
			{25 * day, 30 * day}, {25 * day, 30 * day}, {25 * day, 15 * day}, {time.Second, 15*day - time.Second},
		} {
			b.clock.advance(step.later)
			session = b.refresh(t, session.RefreshToken)
			require.Equal(t, step.want, session.RefreshExpiresIn)
		}
		b.clock.advance(15*day - time.Second - tick)
		session = b.refresh(t, session.RefreshToken)
		require.Equal(t, tick, session.RefreshExpiresIn)
		b.caller(t, session)
		b.clock.advance(tick)
		b.requireEnded(t, session)
	})
}

func TestIdentity_Refresh_Refused(t *testing.T) {
	t.Parallel()

	t.Run("Unknown", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		session := b.register(t, ada)
		good := session.RefreshToken
		for name, token := range map[string]string{
			"empty":          "",
			"only a prefix":  refreshPrefix,
			"never issued":   newRefreshToken(),
			"not yet issued": b.successor(good),
			"without prefix": strings.TrimPrefix(good, refreshPrefix),
			"cut":            good[:len(good)-1],
			"longer":         good + "A",
			"trailing line":  good + "\n",
			"other case":     strings.ToUpper(good),
			"access token":   session.AccessToken,
			"the hash":       string(hashToken(good)),
			"huge":           strings.Repeat("a", 1_000_000),
			"NUL":            "art_\x00",
		} {
			_, err := b.Refresh(t.Context(), token, Device{})
			require.Equal(t, ErrInvalidRefresh, err, name)
		}
		b.refresh(t, good)
	})
	t.Run("LoggedOut", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first := b.register(t, ada)
		second := b.refresh(t, first.RefreshToken)
		require.NoError(t, b.LogOut(t.Context(), b.caller(t, second)))
		b.requireEnded(t, first, second)
		b.clock.advance(time.Minute)
		b.requireEnded(t, first, second)
	})
	t.Run("Suspended", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		session := b.register(t, ada)
		b.exec(t, "UPDATE users SET status = 'suspended'")
		b.requireEnded(t, session)
	})
	t.Run("Deleted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		session := b.register(t, ada)
		require.NoError(t, b.DeleteUser(t.Context(), Caller{}, session.User.ID))
		b.requireEnded(t, session)
	})
}

// Who reads the database, and so knows every hash, cannot tell the next token.
func TestIdentity_Refresh_SuccessorIsKeyed(t *testing.T) {
	t.Parallel()
	with := func(key string) string {
		return (&Service{o: Options{RefreshKey: []byte(key)}}).successor("art_token")
	}
	same := with("key")
	require.Equal(t, same, with("key"))
	require.NotEqual(t, same, with("other"))
	require.NotEqual(t, same, with(""))
}
