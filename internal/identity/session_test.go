package identity

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/audit"
)

// logIn logs in with rightPassword.
func (b *bundle) logIn(t *testing.T, email string) Session {
	t.Helper()
	session, err := b.LogIn(t.Context(), email, rightPassword, Device{})
	require.NoError(t, err)
	return session
}

// alive lists the ids of a user's sessions, newest first.
func (b *bundle) alive(t *testing.T, userID uuid.UUID) (ids []uuid.UUID) {
	t.Helper()
	page, more, err := b.Sessions(t.Context(), userID, uuid.Max, 200)
	require.NoError(t, err)
	require.False(t, more)
	for _, info := range page {
		ids = append(ids, info.ID)
	}
	return ids
}

// requireEndings checks who ended sessions, and why.
func (b *bundle) requireEndings(t *testing.T, actor audit.Actor, reason string, ids ...uuid.UUID) {
	t.Helper()
	var got []uuid.UUID
	for _, e := range b.happened(t, audit.SessionExpired) {
		require.Equal(t, actor, e.Actor)
		id := endedSession(t, e, reason)
		require.Equal(t, reason, one[string](t, b, "SELECT end_reason FROM sessions WHERE id = $1 AND user_id = $2", id, e.Target.ID))
		got = append(got, id)
	}
	require.ElementsMatch(t, ids, got)
}

// endedSession is the session that an event says has ended for a reason.
func endedSession(t *testing.T, e audit.Event, reason string) uuid.UUID {
	t.Helper()
	var details struct {
		SessionID uuid.UUID `json:"session_id"`
		Reason    string    `json:"reason"`
	}
	require.NoError(t, json.Unmarshal(e.Details, &details))
	require.Equal(t, reason, details.Reason)
	require.Equal(t, audit.TargetUser, e.Target.Type)
	return details.SessionID
}

func TestIdentity_Sessions(t *testing.T) {
	t.Parallel()

	t.Run("Tells", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		device := Device{IP: netip.MustParseAddr("192.0.2.1"), UserAgent: "curl/8"}
		session, err := b.Register(t.Context(), NewUser{Email: ada, Password: rightPassword}, device)
		require.NoError(t, err)
		b.clock.advance(time.Hour)
		b.refresh(t, session.RefreshToken)

		page, more, err := b.Sessions(t.Context(), session.User.ID, uuid.Max, 1)
		require.NoError(t, err)
		require.False(t, more)
		require.Empty(t, cmp.Diff([]SessionInfo{{
			ID: b.caller(t, b.refresh(t, session.RefreshToken)).SessionID, IP: device.IP, UserAgent: "curl/8",
			CreatedAt: startStored, LastUsedAt: startStored.Add(time.Hour), ExpiresAt: startStored.Add(90 * day),
		}}, page, cmpopts.EquateComparable(netip.Addr{})))
	})
	t.Run("Pages", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.register(t, "bob@example.com")
		user := b.register(t, ada).User
		for range 4 {
			b.logIn(t, ada)
		}
		want := b.alive(t, user.ID)
		require.Len(t, want, 5)
		var got []uuid.UUID
		before := uuid.Max
		for _, size := range []int{2, 2, 1} {
			page, more, err := b.Sessions(t.Context(), user.ID, before, 2)
			require.NoError(t, err)
			require.Len(t, page, size)
			require.Equal(t, size == 2, more)
			for _, info := range page {
				got = append(got, info.ID)
			}
			before = got[len(got)-1]
			b.logIn(t, ada) // must not shift the pages that follow
		}
		require.Equal(t, want, got)
	})
	t.Run("OnlyThoseAlive", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		old := b.register(t, ada)
		b.clock.advance(time.Hour)
		ended, kept := b.caller(t, b.logIn(t, ada)), b.caller(t, b.logIn(t, ada))
		require.NoError(t, b.LogOut(t.Context(), ended))
		require.Equal(t, []uuid.UUID{kept.SessionID, b.caller(t, b.refresh(t, old.RefreshToken)).SessionID}, b.alive(t, kept.UserID))
		b.clock.advance(90*day - time.Hour - tick)
		require.Len(t, b.alive(t, kept.UserID), 2)
		b.clock.advance(tick)
		require.Equal(t, []uuid.UUID{kept.SessionID}, b.alive(t, kept.UserID))
	})
}

func TestIdentity_EndSession(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.register(t, ada)
	second := b.logIn(t, ada)
	bob := b.register(t, "bob@example.com")
	caller, other, bobs := b.caller(t, first), b.caller(t, second), b.caller(t, bob)

	require.NoError(t, b.EndSession(t.Context(), caller, other.SessionID))
	b.requireEnded(t, second)
	for name, id := range map[string]uuid.UUID{"again": other.SessionID, "of another": bobs.SessionID, "unknown": uuid.Must(uuid.NewV7())} {
		require.Equal(t, ErrSessionNotFound, b.EndSession(t.Context(), caller, id), name)
	}
	b.caller(t, first)
	b.caller(t, bob)
	b.refresh(t, bob.RefreshToken)
	b.requireEndings(t, audit.User(caller.UserID), endedByUser, other.SessionID)

	require.NoError(t, b.EndSession(t.Context(), caller, caller.SessionID), "one's own as well")
	b.requireEnded(t, first)
}

func TestIdentity_EndOtherSessions(t *testing.T) {
	t.Parallel()
	for name, andThis := range map[string]bool{"Others": false, "All": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			others := []Session{b.register(t, ada), b.logIn(t, ada)}
			this := b.logIn(t, ada)
			bob := b.register(t, "bob@example.com")
			caller := b.caller(t, this)
			ended := []uuid.UUID{b.caller(t, others[0]).SessionID, b.caller(t, others[1]).SessionID}
			ctx := audit.WithSource(t.Context(), audit.Source{Actor: audit.User(caller.UserID)})

			for range 2 { // the second time there is nothing left to end
				require.NoError(t, b.EndOtherSessions(ctx, caller, andThis))
			}
			b.requireEnded(t, others...)
			if andThis {
				b.requireEnded(t, this)
				ended = append(ended, caller.SessionID)
			} else {
				b.caller(t, this)
				b.refresh(t, this.RefreshToken)
			}
			b.caller(t, bob)
			b.requireEndings(t, audit.User(caller.UserID), endedByUser, ended...)
		})
	}
}

func TestIdentity_LogOut_Event(t *testing.T) {
	t.Parallel()
	b := setup(t)
	caller := b.caller(t, b.register(t, ada))
	require.NoError(t, b.LogOut(t.Context(), caller))
	require.NoError(t, b.LogOut(t.Context(), caller), "again")
	b.requireEndings(t, audit.User(caller.UserID), endedByLogout, caller.SessionID)
}

// Beyond so many sessions the oldest one ends.
func TestIdentity_MaxSessions(t *testing.T) {
	t.Parallel()

	t.Run("OldestEnds", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(o *Options) { o.MaxSessions = 3 })
		sessions := []Session{b.register(t, ada), b.logIn(t, ada), b.logIn(t, ada)}
		bob := b.register(t, "bob@example.com")
		var ids []uuid.UUID
		for _, s := range sessions {
			ids = append(ids, b.caller(t, s).SessionID)
		}
		b.refresh(t, sessions[0].RefreshToken)
		b.logIn(t, ada)
		b.requireEnded(t, sessions[0])
		b.caller(t, sessions[1])
		b.logIn(t, ada)
		b.requireEnded(t, sessions[1])
		b.caller(t, sessions[2])
		b.caller(t, bob)
		b.requireEndings(t, audit.System, endedByLimit, ids[:2]...)
	})
	t.Run("OverOnesDoNotCount", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(o *Options) { o.MaxSessions = 2 })
		b.register(t, ada)
		b.clock.advance(90 * day)
		kept := b.logIn(t, ada)
		require.NoError(t, b.LogOut(t.Context(), b.caller(t, b.logIn(t, ada))))
		b.logIn(t, ada)
		b.caller(t, kept)
		require.Len(t, b.alive(t, kept.User.ID), 2)
	})
	t.Run("ManyAtOnce", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(o *Options) { o.Passwords.Queue = 100 })
		user := b.register(t, ada).User
		errs := make([]error, 40)
		together(len(errs), func(i int) { _, errs[i] = b.LogIn(t.Context(), ada, rightPassword, Device{}) })
		for _, err := range errs {
			require.NoError(t, err)
		}
		require.Equal(t, 41, b.count(t, "sessions"))
		require.Len(t, b.alive(t, user.ID), 20)
		require.Len(t, b.happened(t, audit.SessionExpired), 21)
	})
}
