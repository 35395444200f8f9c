package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/pgdb"
)

// Listeners are told of what was committed, and nothing else.
func TestLog_Heard(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var heard []audit.Event
	log := audit.New(b.db.Pool, b.clock.Now, func(_ context.Context, e audit.Event) { heard = append(heard, e) })
	user := uuid.New()
	ctx := audit.WithSource(t.Context(), audit.Source{Actor: audit.User(user), RequestID: "r", IP: netip.MustParseAddr("203.0.113.7"), UserAgent: "curl"})
	write := func(end error) error {
		return pgdb.InTx(ctx, b.db.Pool, func(tx pgx.Tx) error {
			if err := log.Write(ctx, tx, audit.UserUpdated, audit.OnUser(user), audit.Details{"fields": []string{"name"}}); err != nil {
				return err
			}
			require.Empty(t, heard, "not before the commit")
			return end
		})
	}
	require.Error(t, write(errors.New("rolled back")))
	require.Empty(t, heard)
	require.NoError(t, write(nil))
	require.Len(t, heard, 1)
	stored := b.one(t)
	require.Equal(t, stored.ID, heard[0].ID)
	require.JSONEq(t, string(stored.Details), string(heard[0].Details))
	heard[0].Details = stored.Details
	requireEvent(t, stored, heard[0])
}

func TestLogTo(t *testing.T) {
	t.Parallel()
	id, user, key := uuid.New(), uuid.New(), uuid.New()
	for name, test := range map[string]struct {
		event audit.Event
		want  string
	}{
		"Login": {
			audit.Event{Type: audit.LoginSuccess, Actor: audit.User(user), Target: audit.OnUser(user), Details: json.RawMessage(`{"session_id":"s"}`), IP: netip.MustParseAddr("::1")},
			`{"level":"INFO","msg":"login_success","event.action":"login_success","event.outcome":"success","event.category":"authentication","event.id":"ID",
			"authservice.actor.type":"user","user.id":"USER","authservice.actor.id":"USER","client.ip":"::1","authservice.details":{"session_id":"s"}}`,
		},
		"LoginFailed": {
			audit.Event{Type: audit.LoginFail, Actor: audit.Anonymous, Target: audit.OnUser(user), Details: json.RawMessage(`{"reason":"wrong_credentials"}`)},
			`{"level":"WARN","msg":"login_failed","event.action":"login_failed","event.outcome":"failure","event.category":"authentication","event.id":"ID",
			"authservice.actor.type":"anonymous","user.id":"USER","event.reason":"wrong_credentials","authservice.details":{"reason":"wrong_credentials"}}`,
		},
		"UnknownAccount": {
			audit.Event{Type: audit.LoginFail, Actor: audit.Anonymous, Details: json.RawMessage(`{}`)},
			`{"level":"WARN","msg":"login_failed","event.action":"login_failed","event.outcome":"failure","event.category":"authentication","event.id":"ID",
			"authservice.actor.type":"anonymous"}`,
		},
		"ByAKey": {
			audit.Event{Type: audit.UserSuspended, Actor: audit.Actor{Type: audit.ActorAPIKey, ID: key}, Target: audit.OnUser(user), Details: json.RawMessage(`{}`)},
			`{"level":"INFO","msg":"user_suspended","event.action":"user_suspended","event.outcome":"success","event.category":"iam","event.id":"ID",
			"authservice.actor.type":"api_key","user.id":"USER","authservice.actor.id":"KEY"}`,
		},
		"OnAKey": {
			audit.Event{Type: audit.APIKeyCreated, Actor: audit.User(user), Target: audit.Target{Type: audit.TargetAPIKey, ID: key}, Details: json.RawMessage(`{}`)},
			`{"level":"INFO","msg":"token_created","event.action":"token_created","event.outcome":"success","event.category":"iam","event.id":"ID",
			"authservice.actor.type":"user","user.id":"USER","authservice.actor.id":"USER","authservice.target.type":"api_key","authservice.target.id":"KEY"}`,
		},
		"Reuse": {
			audit.Event{Type: audit.RefreshTokenReuse, Actor: audit.Anonymous, Target: audit.OnUser(user), Details: json.RawMessage(`{}`)},
			`{"level":"WARN","msg":"token_reuse","event.action":"token_reuse","event.outcome":"failure","event.category":"session","event.id":"ID",
			"authservice.actor.type":"anonymous","user.id":"USER"}`,
		},
		"System": {
			audit.Event{Type: audit.SigningKeyRotated, Actor: audit.System, Target: audit.Target{Type: audit.TargetSigningKey}, Details: json.RawMessage(`{"kid":"k"}`)},
			`{"level":"INFO","msg":"signing_key_rotated","event.action":"signing_key_rotated","event.outcome":"success","event.category":"configuration","event.id":"ID",
			"authservice.actor.type":"system","authservice.target.type":"signing_key","authservice.details":{"kid":"k"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			test.event.ID = id
			audit.LogTo(slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{ReplaceAttr: withoutTime})))(t.Context(), test.event)
			got := b.Bytes()
			for text, id := range map[string]uuid.UUID{"ID": id, "USER": user, "KEY": key} {
				got = bytes.ReplaceAll(got, []byte(id.String()), []byte(text))
			}
			require.JSONEq(t, test.want, string(got))
		})
	}
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
