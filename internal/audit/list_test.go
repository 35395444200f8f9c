package audit_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/audit"
)

func TestLog_List(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two, key := uuid.New(), uuid.New(), uuid.New()
	apiKey := audit.Actor{Type: audit.ActorAPIKey, ID: key}
	b.record(t, audit.Anonymous, audit.LoginFail, audit.OnUser(one))                                           // 0
	b.record(t, audit.User(one), audit.LoginSuccess, audit.OnUser(one))                                        // 1
	b.record(t, audit.User(two), audit.UserSuspended, audit.OnUser(one))                                       // 2
	b.record(t, apiKey, audit.UserUpdated, audit.OnUser(two))                                                  // 3
	b.record(t, audit.System, audit.SigningKeyRotated, audit.Target{Type: audit.TargetSigningKey})             // 4
	b.record(t, audit.User(two), audit.SessionExpired, audit.Target{Type: audit.TargetAPIKey, ID: uuid.New()}) // 5
	b.record(t, audit.User(one), audit.LoginSuccess, audit.OnUser(one))                                        // 6

	second := time.Second
	for _, c := range []struct {
		name   string
		filter audit.Filter
		want   []int // the second in which it happened
	}{
		{"All", audit.Filter{}, []int{6, 5, 4, 3, 2, 1, 0}},
		{"Actor", audit.Filter{ActorID: &one}, []int{6, 1}},
		{"ActorThatIsAKey", audit.Filter{ActorID: &key}, []int{3}},
		{"ActorUnknown", audit.Filter{ActorID: ptr(uuid.New())}, nil},
		{"ActorNil", audit.Filter{ActorID: &uuid.Nil}, nil},
		{"Target", audit.Filter{TargetID: &one}, []int{6, 2, 1, 0}},
		{"TargetUnknown", audit.Filter{TargetID: &key}, nil},
		{"Type", audit.Filter{Type: ptr("authn_login_success")}, []int{6, 1}},
		{"TypeUnknown", audit.Filter{Type: ptr("authn_login")}, nil},
		{"TypeEmpty", audit.Filter{Type: ptr("")}, nil},
		{"ActorAndTarget", audit.Filter{ActorID: &two, TargetID: &one}, []int{2}},
		{"ActorAndType", audit.Filter{ActorID: &two, Type: ptr("session_expired")}, []int{5}},
		{"TargetAndType", audit.Filter{TargetID: &one, Type: ptr("authn_login_fail")}, []int{0}},
		{"FromIncludesItsMoment", audit.Filter{From: in(4 * second)}, []int{6, 5, 4}},
		{"FromAMomentLater", audit.Filter{From: in(4*second + time.Microsecond)}, []int{6, 5}},
		{"ToExcludesItsMoment", audit.Filter{To: in(2 * second)}, []int{1, 0}},
		{"ToAMomentLater", audit.Filter{To: in(2*second + time.Microsecond)}, []int{2, 1, 0}},
		{"FromTo", audit.Filter{From: in(2 * second), To: in(5 * second)}, []int{4, 3, 2}},
		{"FromToOtherZone", audit.Filter{From: ptr(in(2 * second).In(time.FixedZone("", -3600))), To: ptr(in(5 * second).Local())}, []int{4, 3, 2}},
		{"ToBeforeFrom", audit.Filter{From: in(5 * second), To: in(2 * second)}, nil},
		{"FromTheBeginningOfTime", audit.Filter{From: &time.Time{}}, []int{6, 5, 4, 3, 2, 1, 0}},
		{"ToTheBeginningOfTime", audit.Filter{To: &time.Time{}}, nil},
		{"ToTheEndOfTime", audit.Filter{To: ptr(time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC))}, []int{6, 5, 4, 3, 2, 1, 0}},
		{"FromTheEndOfTime", audit.Filter{From: ptr(time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC))}, nil},
		{"Everything", audit.Filter{ActorID: &one, TargetID: &one, Type: ptr("authn_login_success"), From: in(0), To: in(6 * second)}, []int{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, seconds(b.all(t, c.filter)))

			// The same in pages of one.
			var paged []audit.Event
			before, more := uuid.Max, true
			for more {
				var page []audit.Event
				var err error
				page, more, err = b.log.List(t.Context(), c.filter, before, 1)
				require.NoError(t, err)
				require.Equal(t, len(paged)+1 < len(c.want), more)
				if paged = append(paged, page...); more {
					before = page[0].ID
				}
			}
			require.Equal(t, c.want, seconds(paged))
		})
	}
}

// seconds says in which second after the epoch the events happened.
func seconds(events []audit.Event) (at []int) {
	for _, e := range events {
		at = append(at, int(e.At.Sub(epoch)/time.Second))
	}
	return at
}

// What happens while somebody turns the pages moves none of them.
func TestLog_ListWhileEventsAreWritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	user := uuid.New()
	b.clock.tick = time.Microsecond // the finest order that there is
	for range 50 {
		b.record(t, audit.User(user), audit.LoginSuccess, audit.Target{})
		b.record(t, audit.System, audit.LoginSuccess, audit.Target{})
	}
	for name, f := range map[string]audit.Filter{"All": {}, "OfAnActor": {ActorID: &user}, "To": {To: ptr(b.clock.at)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := b.all(t, audit.Filter{ActorID: f.ActorID, To: ptr(epoch.Add(100 * time.Microsecond))})
			var got []audit.Event
			before, more := uuid.Max, true
			for more {
				var page []audit.Event
				var err error
				page, more, err = b.log.List(t.Context(), f, before, 7)
				require.NoError(t, err)
				if len(got) == 0 {
					// The first page may begin with what other subtests wrote.
					for len(page) > 0 && !page[0].At.Before(epoch.Add(100*time.Microsecond)) {
						before, page = page[0].ID, page[1:]
					}
				}
				if got = append(got, page...); len(page) > 0 {
					before = page[len(page)-1].ID
				}
				b.record(t, audit.User(user), audit.LoginSuccess, audit.Target{})
			}
			require.Equal(t, want, got)
		})
	}
}

// The order of ids is the order of time, to the microsecond, also from one
// millisecond to the next.
func TestLog_OrderIsTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.at, b.clock.tick = epoch.Add(900*time.Microsecond), time.Microsecond
	const n = 300
	for range n {
		b.record(t, audit.System, audit.UserCreated, audit.Target{})
	}
	events := b.all(t, audit.Filter{})
	require.Len(t, events, n)
	for i, e := range events {
		require.Equal(t, epoch.Add(900*time.Microsecond+time.Duration(n-1-i)*time.Microsecond), e.At)
	}
	// Each moment can be picked.
	for i, e := range events {
		if i%37 == 0 {
			picked := b.all(t, audit.Filter{From: &e.At, To: ptr(e.At.Add(time.Microsecond))})
			require.Equal(t, []audit.Event{e}, picked)
		}
	}
}

func TestLog_About(t *testing.T) {
	t.Parallel()
	b := setup(t)
	me, admin, key := uuid.New(), uuid.New(), uuid.New()
	from := func(actor audit.Actor, ip string) func(audit.Type, audit.Target) {
		return func(what audit.Type, on audit.Target) {
			ctx := audit.WithSource(t.Context(), audit.Source{Actor: actor, RequestID: "r", IP: netip.MustParseAddr(ip), UserAgent: "agent of " + ip})
			b.write(ctx, t, what, on, nil)
		}
	}
	byMe, byAdmin := from(audit.User(me), "192.0.2.1"), from(audit.User(admin), "192.0.2.2")
	byKey, byStranger := from(audit.Actor{Type: audit.ActorAPIKey, ID: key}, "192.0.2.3"), from(audit.Anonymous, "192.0.2.4")
	byMe(audit.LoginSuccess, audit.OnUser(me))                                         // 0
	byAdmin(audit.UserSuspended, audit.OnUser(me))                                     // 1
	byKey(audit.UserUpdated, audit.OnUser(me))                                         // 2
	byStranger(audit.LoginFail, audit.OnUser(me))                                      // 3: somebody tried to be me
	byMe(audit.UserUpdated, audit.OnUser(admin))                                       // 4
	from(audit.System, "192.0.2.5")(audit.UserUnsuspended, audit.OnUser(me))           // 5
	byAdmin(audit.LoginSuccess, audit.OnUser(admin))                                   // of others
	byStranger(audit.LoginFail, audit.Target{})                                        // of nobody
	byMe(audit.SessionExpired, audit.Target{Type: audit.TargetAPIKey, ID: uuid.New()}) // 8

	want := []struct {
		second int
		ip     string // none where it is not mine to see
	}{{8, "192.0.2.1"}, {5, ""}, {4, "192.0.2.1"}, {3, "192.0.2.4"}, {2, ""}, {1, ""}, {0, "192.0.2.1"}}
	got, err := b.log.About(t.Context(), me, uuid.Max, 100)
	require.NoError(t, err)
	require.Len(t, got, len(want))
	for i, e := range got {
		require.Equal(t, want[i].second, seconds(got[i : i+1])[0])
		if want[i].ip == "" {
			require.False(t, e.IP.IsValid(), "the address of %s", e.Actor.Type)
			require.Empty(t, e.UserAgent)
			continue
		}
		require.Equal(t, want[i].ip, e.IP.String())
		require.Equal(t, "agent of "+want[i].ip, e.UserAgent)
	}

	var paged []audit.Event
	for before := uuid.Max; ; before = paged[len(paged)-1].ID {
		page, err := b.log.About(t.Context(), me, before, 2)
		require.NoError(t, err)
		if paged = append(paged, page...); len(page) < 2 {
			break
		}
	}
	require.Equal(t, got, paged)

	// The administrators' list hides nothing.
	for _, e := range b.all(t, audit.Filter{}) {
		require.True(t, e.IP.IsValid())
	}
}

func TestLog_EraseClients(t *testing.T) {
	t.Parallel()
	b := setup(t)
	me, other := uuid.New(), uuid.New()
	write := func(actor audit.Actor, on audit.Target) {
		ctx := audit.WithSource(t.Context(), audit.Source{Actor: actor, RequestID: "r", IP: netip.MustParseAddr("192.0.2.1"), UserAgent: "agent"})
		b.write(ctx, t, audit.UserUpdated, on, audit.Details{"fields": []string{"name"}})
	}
	write(audit.User(me), audit.OnUser(other))
	write(audit.Anonymous, audit.OnUser(me))
	write(audit.User(other), audit.OnUser(other))
	write(audit.Anonymous, audit.Target{})
	want := b.all(t, audit.Filter{})
	for i := range want {
		if want[i].Actor.ID == me || want[i].Target.ID == me {
			want[i].IP, want[i].UserAgent = netip.Addr{}, ""
		}
	}

	tx, err := b.db.Pool.Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.log.EraseClients(t.Context(), tx, me))
	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, 4, b.count(t, "audit_event_clients"), "in the caller's transaction")

	for range 2 { // the second time there is nothing left to do
		tx, err = b.db.Pool.Begin(t.Context())
		require.NoError(t, err)
		require.NoError(t, b.log.EraseClients(t.Context(), tx, me))
		require.NoError(t, tx.Commit(t.Context()))
		require.Equal(t, 2, b.count(t, "audit_event_clients"))
		require.Equal(t, want, b.all(t, audit.Filter{}), "the events stay, and others' addresses")
	}
}
