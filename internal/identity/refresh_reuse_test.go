package identity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/mailer"
)

// Twenty tabs share a token, each refreshes as long as the page is open, and
// slow ones come late: nobody is logged out, and one session has one chain.
func TestIdentity_Refresh_TwentyTabs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	session := b.register(t, ada)
	for range 5 {
		b.clock.advance(10 * time.Minute)
		shared := session.RefreshToken
		sessions, errs := make([]Session, 20), make([]error, 20)
		replica := b.replica(t)
		together(len(sessions), func(i int) {
			service := b.Service
			if i%2 == 0 {
				service = replica
			}
			sessions[i], errs[i] = service.Refresh(t.Context(), shared, Device{})
		})
		for i := range sessions {
			require.NoError(t, errs[i])
			require.Equal(t, sessions[0].RefreshToken, sessions[i].RefreshToken)
		}
		b.clock.advance(30 * time.Second)
		session = b.refresh(t, shared)
		require.Equal(t, sessions[0].RefreshToken, session.RefreshToken)
	}
	b.caller(t, session)
	require.Equal(t, 6, b.count(t, "refresh_tokens"))
	require.Len(t, b.happened(t, audit.SessionRenewed), 5, "one for each exchange, however often it is asked for")
	require.Empty(t, b.happened(t, audit.RefreshTokenReuse))
	require.Zero(t, b.mailed(t, mailer.RefreshReused))
}

// What is known of a reuse: events, and one mail to the owner.
func TestIdentity_Refresh_ReuseIsTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.register(t, ada)
	id, userID := b.caller(t, first).SessionID, first.User.ID
	second := b.refresh(t, first.RefreshToken)
	renewed := b.happened(t, audit.SessionRenewed)
	require.Len(t, renewed, 1)
	require.Equal(t, audit.User(userID), renewed[0].Actor)
	on, details := audit.OnUser(userID), `{"session_id":"`+id.String()+`"}`
	require.Equal(t, on, renewed[0].Target)
	require.JSONEq(t, details, string(renewed[0].Details))

	b.clock.advance(time.Minute)
	_, err := b.Refresh(t.Context(), first.RefreshToken, Device{UserAgent: "thief/1"})
	require.Equal(t, ErrRefreshReused, err)

	reuse := b.happened(t, audit.RefreshTokenReuse)
	require.Len(t, reuse, 1)
	require.Equal(t, audit.Anonymous, reuse[0].Actor, "one of two, and nobody can tell which")
	require.Equal(t, on, reuse[0].Target)
	require.JSONEq(t, details, string(reuse[0].Details))
	b.requireEndings(t, audit.System, endedByReuse, id)
	require.Equal(t, 1, b.mailed(t, mailer.RefreshReused))
	const mail = "FROM river_job WHERE args ->> 'template' = 'refresh_reused'"
	require.Equal(t, userID.String(), one[string](t, b, "SELECT args ->> 'user_id' "+mail))
	require.Equal(t, "thief/1", one[string](t, b, "SELECT args -> 'device' ->> 'UserAgent' "+mail))
	require.Empty(t, b.happened(t, audit.SessionUseAfterExpire))

	// Neither the newest of the chain nor those before it lead anywhere any more,
	// and nothing is told twice.
	for i, s := range []Session{second, first, second} {
		b.requireRefused(t, s.RefreshToken, ErrInvalidRefresh)
		after := b.happened(t, audit.SessionUseAfterExpire)
		require.Len(t, after, i+1)
		require.Equal(t, audit.Anonymous, after[i].Actor)
		require.Equal(t, on, after[i].Target)
		require.JSONEq(t, details, string(after[i].Details))
	}
	b.requireRefused(t, newRefreshToken(), ErrInvalidRefresh)
	require.Len(t, b.happened(t, audit.SessionUseAfterExpire), 3, "a token that never was belongs to no session")
	require.Len(t, b.happened(t, audit.RefreshTokenReuse), 1)
	require.Equal(t, 1, b.mailed(t, mailer.RefreshReused))
}

func TestIdentity_Refresh_ReuseAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.register(t, ada)
	second := b.refresh(t, first.RefreshToken)
	b.clock.advance(time.Minute)
	together(20, func(i int) {
		token := first.RefreshToken
		if i%2 == 0 {
			token = second.RefreshToken // the owner's, at the same moment
		}
		_, _ = b.Refresh(t.Context(), token, Device{}) // whatever comes of it
	})
	b.requireRefused(t, first.RefreshToken, ErrInvalidRefresh)
	require.Len(t, b.happened(t, audit.RefreshTokenReuse), 1)
	require.Equal(t, 1, b.mailed(t, mailer.RefreshReused))
	require.Empty(t, b.alive(t, first.User.ID))
}

// There is no reuse without the mail about it.
func TestIdentity_Refresh_ReuseIsOneTransaction(t *testing.T) {
	t.Parallel()
	for table, condition := range map[string]string{
		"river_job":    "kind = 'mail' AND args ->> 'template' = 'refresh_reused'",
		"audit_events": "type = 'authn_token_reuse'",
		"sessions":     "end_reason = 'refresh_token_reused'",
	} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			first := b.register(t, ada)
			second := b.refresh(t, first.RefreshToken)
			b.clock.advance(time.Minute)
			b.forbid(t, table, condition)

			_, err := b.Refresh(t.Context(), first.RefreshToken, Device{})
			require.Equal(t, apperr.Internal, apperr.From(err).Kind)
			b.caller(t, second)
			b.refresh(t, second.RefreshToken)
			require.Empty(t, b.happened(t, audit.RefreshTokenReuse))
			require.Empty(t, b.happened(t, audit.SessionExpired))
			require.Zero(t, b.mailed(t, mailer.RefreshReused))
		})
	}
}

// What has run out is no reuse, and says that it was used.
func TestIdentity_Refresh_ExpiredIsTold(t *testing.T) {
	t.Parallel()
	for name, idle := range map[string]bool{"Idle": true, "Absolute": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			session := b.register(t, ada)
			id := b.caller(t, session).SessionID
			b.clock.advance(29 * day)
			if !idle {
				for range 3 {
					session = b.refresh(t, session.RefreshToken)
					b.clock.advance(20 * day)
				}
				session = b.refresh(t, session.RefreshToken)
				b.clock.advance(day - tick)
				b.refresh(t, session.RefreshToken)
				require.Empty(t, b.happened(t, audit.SessionUseAfterExpire))
				b.clock.advance(tick)
			} else {
				b.clock.advance(day)
			}
			b.requireRefused(t, session.RefreshToken, ErrInvalidRefresh)
			after := b.happened(t, audit.SessionUseAfterExpire)
			require.Len(t, after, 1)
			require.Equal(t, audit.OnUser(session.User.ID), after[0].Target)
			require.JSONEq(t, `{"session_id":"`+id.String()+`"}`, string(after[0].Details))
			require.Empty(t, b.happened(t, audit.RefreshTokenReuse))
		})
	}
}
