package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/audit"
)

func TestLog_Write(t *testing.T) {
	t.Parallel()
	user, key, other := uuid.New(), uuid.New(), uuid.New()
	client := netip.MustParseAddr("192.0.2.7")
	for name, c := range map[string]struct {
		source  *audit.Source // nil for a context without one
		on      audit.Target
		details audit.Details
		want    audit.Event
		clients int // rows that hold addresses
	}{
		"Everything": {
			source:  &audit.Source{Actor: audit.User(user), RequestID: "req-1", IP: client, UserAgent: "agent"},
			on:      audit.OnUser(other),
			details: audit.Details{"before": "user", "after": "admin"},
			want: audit.Event{
				Actor: audit.Actor{Type: audit.ActorUser, ID: user}, Target: audit.Target{Type: audit.TargetUser, ID: other},
				Details: json.RawMessage(`{"after":"admin","before":"user"}`), RequestID: "req-1", IP: client, UserAgent: "agent",
			},
			clients: 1,
		},
		"NoSource": {
			on:   audit.OnUser(other),
			want: audit.Event{Actor: audit.System, Target: audit.OnUser(other), Details: json.RawMessage(`{}`)},
		},
		"NoTarget": {
			source:  &audit.Source{Actor: audit.Anonymous, RequestID: "req-2", IP: client},
			want:    audit.Event{Actor: audit.Anonymous, RequestID: "req-2", IP: client, Details: json.RawMessage(`{}`)},
			clients: 1,
		},
		"NoAddress": {
			source:  &audit.Source{Actor: audit.Anonymous, UserAgent: "agent"},
			want:    audit.Event{Actor: audit.Anonymous, UserAgent: "agent", Details: json.RawMessage(`{}`)},
			clients: 1,
		},
		"APIKey": {
			source:  &audit.Source{Actor: audit.Actor{Type: audit.ActorAPIKey, ID: key}, IP: netip.MustParseAddr("2001:db8::7")},
			on:      audit.Target{Type: audit.TargetAPIKey, ID: other},
			want:    audit.Event{Actor: audit.Actor{Type: audit.ActorAPIKey, ID: key}, Target: audit.Target{Type: audit.TargetAPIKey, ID: other}, IP: netip.MustParseAddr("2001:db8::7"), Details: json.RawMessage(`{}`)},
			clients: 1,
		},
		"TargetWithoutID": {
			on:      audit.Target{Type: audit.TargetSigningKey},
			details: audit.Details{"kid": "k1"},
			want:    audit.Event{Actor: audit.System, Target: audit.Target{Type: audit.TargetSigningKey}, Details: json.RawMessage(`{"kid":"k1"}`)},
		},
		"EmptyDetails": {
			details: audit.Details{},
			want:    audit.Event{Actor: audit.System, Details: json.RawMessage(`{}`)},
		},
		"OddText": {
			details: audit.Details{"text": "a\x00\xff\u2028<b>", "none": nil},
			want:    audit.Event{Actor: audit.System, Details: json.RawMessage(`{"none":null,"text":"a\u0000\ufffd\u2028\u003cb\u003e"}`)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			ctx := t.Context()
			if c.source != nil {
				ctx = audit.WithSource(ctx, *c.source)
			}
			b.write(ctx, t, audit.PermissionsChanged, c.on, c.details)
			c.want.Type, c.want.At = audit.PermissionsChanged, epoch
			got := b.one(t)
			requireEvent(t, c.want, got)
			require.Equal(t, uuid.Version(7), got.ID.Version())
			require.Equal(t, uuid.RFC4122, got.ID.Variant())
			require.Equal(t, c.clients, b.count(t, "audit_event_clients"))

			var null int
			require.NoError(t, b.db.Pool.QueryRow(ctx, "SELECT count(*) FROM audit_events WHERE details IS NULL OR details::text = 'null'").Scan(&null))
			require.Zero(t, null)
		})
	}
}

// A login comes from nobody until it has succeeded.
func TestLog_WriteAs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	user := uuid.New()
	client := netip.MustParseAddr("192.0.2.7")
	ctx := audit.WithSource(t.Context(), audit.Source{Actor: audit.Anonymous, RequestID: "req-1", IP: client, UserAgent: "agent"})
	require.NoError(t, pgx.BeginFunc(ctx, b.db.Pool, func(tx pgx.Tx) error {
		return b.log.WriteAs(ctx, tx, audit.User(user), audit.LoginSuccess, audit.OnUser(user), nil)
	}))
	requireEvent(t, audit.Event{
		Type: audit.LoginSuccess, Actor: audit.User(user), Target: audit.OnUser(user), Details: json.RawMessage(`{}`),
		RequestID: "req-1", IP: client, UserAgent: "agent", At: epoch,
	}, b.one(t))
	require.Equal(t, audit.Anonymous, audit.SourceOf(ctx).Actor, "the request's own source is left alone")
}

// No change without its event, and no event without its change.
func TestLog_SharesTheTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := audit.WithSource(t.Context(), audit.Source{Actor: audit.Anonymous, IP: netip.MustParseAddr("192.0.2.7")})
	failed := errors.New("the change failed")
	require.ErrorIs(t, pgx.BeginFunc(ctx, b.db.Pool, func(tx pgx.Tx) error {
		require.NoError(t, b.log.Write(ctx, tx, audit.UserCreated, audit.Target{}, nil))
		return failed
	}), failed)
	require.Zero(t, b.count(t, "audit_events"))
	require.Zero(t, b.count(t, "audit_event_clients"))

	// Before the commit nobody else sees it.
	require.NoError(t, pgx.BeginFunc(ctx, b.db.Pool, func(tx pgx.Tx) error {
		require.NoError(t, b.log.Write(ctx, tx, audit.UserCreated, audit.Target{}, nil))
		require.Empty(t, b.all(t, audit.Filter{}))
		return nil
	}))
	require.Len(t, b.all(t, audit.Filter{}), 1)

	// An event that cannot be written takes the change along.
	for name, c := range map[string]struct {
		actor   audit.Actor
		on      audit.Target
		details audit.Details
	}{
		"UnknownActor":   {actor: audit.Actor{Type: "robot"}},
		"UserWithoutID":  {actor: audit.Actor{Type: audit.ActorUser}},
		"SystemWithID":   {actor: audit.Actor{Type: audit.ActorSystem, ID: uuid.New()}},
		"UnknownTarget":  {actor: audit.System, on: audit.Target{Type: "robot"}},
		"TargetOfNoKind": {actor: audit.System, on: audit.Target{ID: uuid.New()}},
		"NotJSON":        {actor: audit.System, details: audit.Details{"f": func() {}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Error(t, b.log.Record(ctx, c.actor, audit.UserCreated, c.on, c.details))
		})
	}
}

func TestLog_Record(t *testing.T) {
	t.Parallel()
	b := setup(t)
	user := uuid.New()
	ctx := audit.WithSource(t.Context(), audit.Source{Actor: audit.User(uuid.New()), RequestID: "req-1"})
	require.NoError(t, b.log.Record(ctx, audit.Anonymous, audit.LoginFail, audit.OnUser(user), audit.Details{"reason": "wrong_password"}))
	requireEvent(t, audit.Event{
		Type: audit.LoginFail, Actor: audit.Anonymous, Target: audit.OnUser(user), Details: json.RawMessage(`{"reason":"wrong_password"}`),
		RequestID: "req-1", At: epoch,
	}, b.one(t))

	canceled, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, b.log.Record(canceled, audit.Anonymous, audit.LoginFail, audit.Target{}, nil), context.Canceled)
	require.Equal(t, 1, b.count(t, "audit_events"))
}

// The zone of an interface says nothing on another machine, and fits no column.
func TestLog_OddAddresses(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"fe80::1%eth0": "fe80::1",
		"::1":          "::1",
	} {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			ctx := audit.WithSource(t.Context(), audit.Source{Actor: audit.Anonymous, IP: netip.MustParseAddr(from)})
			b.write(ctx, t, audit.LoginFail, audit.Target{}, nil)
			require.Equal(t, want, b.one(t).IP.String())
		})
	}
}

// The table keeps microseconds; an event comes back with the time that its id has.
func TestLog_TimeOfTheID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.at, b.clock.tick = epoch.Add(123456789*time.Nanosecond).In(time.FixedZone("", 7200)), 0
	b.record(t, audit.System, audit.UserCreated, audit.Target{})
	got := b.one(t)
	require.Equal(t, epoch.Add(123456*time.Microsecond), got.At)
	require.Equal(t, epoch.Add(123*time.Millisecond), time.UnixMilli(milliseconds(got.ID)).UTC())
}

func milliseconds(id uuid.UUID) (ms int64) {
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return ms
}
