package identity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/audit"
)

func TestIdentity_CleanUp(t *testing.T) {
	t.Parallel()

	t.Run("Nothing", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, setup(t).CleanUp(t.Context()))
	})

	// Time ends a suspension by itself; the clean-up makes it visible.
	t.Run("Suspensions", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		over, later, good := b.account(t, ada, true), b.account(t, "bob@example.com", true), b.account(t, "carol@example.com", true)
		hour, day := startStored.Add(time.Hour), startStored.Add(day)
		for _, s := range []struct {
			user  User
			until *time.Time
		}{{over, &hour}, {later, &day}, {good, nil}} {
			_, err := b.Suspend(t.Context(), Caller{}, s.user.ID, "spam", s.until)
			require.NoError(t, err)
		}
		b.clock.advance(time.Hour - tick)
		require.NoError(t, b.CleanUp(t.Context()))
		require.Empty(t, b.happened(t, audit.UserUnsuspended))
		b.clock.advance(tick)
		for range 2 {
			require.NoError(t, b.CleanUp(t.Context()))
			events := b.happened(t, audit.UserUnsuspended)
			require.Len(t, events, 1)
			require.Equal(t, audit.System, events[0].Actor)
			require.Equal(t, audit.OnUser(over.ID), events[0].Target)
			require.JSONEq(t, `{"before":"suspended","after":"active","reason":"expired"}`, string(events[0].Details))
		}
		user, err := b.User(t.Context(), over.ID)
		require.NoError(t, err)
		require.Equal(t, b.clock.now().Truncate(tick), user.UpdatedAt)
		require.Equal(t, 1, one[int](t, b, "SELECT count(*) FROM users WHERE status = 'active' AND num_nonnulls(suspended_at, suspended_until, suspension_reason) = 0"))
	})

	t.Run("MoreThanAPageOfSuspensions", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		const users = 2*cleanUpPage + 1
		_, err := b.db.Pool.Exec(t.Context(), `
			INSERT INTO users (id, email, status, suspended_at, suspended_until, created_at, updated_at)
			SELECT gen_random_uuid(), 'user' || i || '@example.com', 'suspended', now(), $2, now(), now() FROM generate_series(1, $1) i`, users, startStored)
		require.NoError(t, err)
		together(2, func(int) { require.NoError(t, b.CleanUp(t.Context())) }) // two replicas
		require.NoError(t, b.CleanUp(t.Context()))
		require.Zero(t, one[int](t, b, "SELECT count(*) FROM users WHERE status = 'suspended'"))
		require.Equal(t, users, one[int](t, b, "SELECT count(*) FROM audit_events WHERE type = 'user_unsuspended'"), "one each")
	})

	// A session that is over is remembered for a while, then forgotten with its tokens.
	t.Run("Sessions", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		loggedOut := b.register(t, ada)
		alive := b.requireLogIn(t)
		require.NoError(t, b.LogOut(t.Context(), b.caller(t, loggedOut)))
		b.clock.advance(sessionsKept)
		require.NoError(t, b.CleanUp(t.Context()))
		require.Equal(t, 2, b.count(t, "sessions"))
		b.requireRefused(t, loggedOut.RefreshToken, ErrInvalidRefresh)
		require.Len(t, b.happened(t, audit.SessionUseAfterExpire), 1)
		b.clock.advance(tick)
		require.NoError(t, b.CleanUp(t.Context()))
		require.Equal(t, 1, b.count(t, "sessions"))
		require.Equal(t, 1, b.count(t, "refresh_tokens"))
		b.requireRefused(t, loggedOut.RefreshToken, ErrInvalidRefresh)
		require.Len(t, b.happened(t, audit.SessionUseAfterExpire), 1, "it is not known any more")

		// Sessions that nobody ended are over at their absolute end.
		b.clock.advance(b.o.SessionTTL - tick)
		require.NoError(t, b.CleanUp(t.Context()))
		require.Equal(t, 1, b.count(t, "sessions"), alive.User.ID)
		b.clock.advance(tick)
		require.NoError(t, b.CleanUp(t.Context()))
		require.Zero(t, b.count(t, "sessions"))
		require.Zero(t, b.count(t, "refresh_tokens"))
	})

	t.Run("MoreThanAPageOfSessions", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		user := b.account(t, ada, true)
		_, err := b.db.Pool.Exec(t.Context(), `
			INSERT INTO sessions (id, user_id, created_at, last_used_at, expires_at)
			SELECT gen_random_uuid(), $2, now(), now(), $3 FROM generate_series(1, $1) i`, 2*cleanUpPage+1, user.ID, startStored.Add(-sessionsKept-tick))
		require.NoError(t, err)
		require.NoError(t, b.CleanUp(t.Context()))
		require.Zero(t, b.count(t, "sessions"))
	})

	t.Run("Links", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t)
		p.account(t, ada, true)
		p.account(t, "bob@example.com", true)
		token := p.resetToken(t)
		require.NoError(t, p.CleanUp(t.Context()))
		p.clock.advance(30*time.Minute + linksKept)
		p.ask(t, askedToReset, "bob@example.com")
		p.answer(t)
		require.NoError(t, p.CleanUp(t.Context()))
		require.Equal(t, 2, p.count(t, "one_time_tokens"))
		p.requireReset(t, ErrInvalidToken, token)
		p.clock.advance(tick)
		require.NoError(t, p.CleanUp(t.Context()))
		require.Equal(t, []string{"bob@example.com"}, column[string](t, p.bundle, "SELECT email FROM one_time_tokens"))
	})
}
