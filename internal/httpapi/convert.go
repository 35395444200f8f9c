package httpapi

import (
	"bytes"
	"encoding/json"
	"net/netip"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/authservice/authservice/internal/apigen"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/identity"
	"github.com/authservice/authservice/internal/tokens"
)

var emptyObject = json.RawMessage("{}")

// orNull is what a nil pointer is in JSON.
func orNull[T any](p *T) nullable.Nullable[T] {
	if p == nil {
		return nullable.NewNullNullable[T]()
	}
	return nullable.NewNullableWithValue(*p)
}

// orZero is what a member is that was left out.
func orZero[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// orCleared is nil for a member that was left out, and empty for null.
func orCleared(n nullable.Nullable[string]) *string {
	if !n.IsSpecified() {
		return nil
	}
	value, _ := n.Get() // fails for null, and is empty then
	return &value
}

// compact returns a JSON object without white space, nil for none.
func compact(raw *json.RawMessage) json.RawMessage {
	if raw == nil {
		return nil
	}
	var b bytes.Buffer
	_ = json.Compact(&b, *raw) // well-formed: cannot fail
	return b.Bytes()
}

func orEmpty(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return emptyObject
	}
	return raw
}

func toSession(s identity.Session) apigen.Session {
	return apigen.Session{
		AccessToken: s.AccessToken, TokenType: "Bearer", ExpiresIn: int64(s.ExpiresIn.Seconds()),
		RefreshToken: s.RefreshToken, RefreshExpiresIn: int64(s.RefreshExpiresIn.Seconds()), User: toUser(s.User),
	}
}

func toUser(u identity.User) apigen.User {
	out := apigen.User{
		ID: u.ID, Email: u.Email, EmailVerified: u.EmailVerified, Name: u.Name, Locale: orNull(u.Locale),
		Role: apigen.UserRole(u.Role), Status: apigen.UserStatus(u.Status), Metadata: u.Metadata,
		Suspension: nullable.NewNullNullable[apigen.Suspension](),
		CreatedAt:  u.CreatedAt, UpdatedAt: u.UpdatedAt, LastLoginAt: orNull(u.LastLoginAt),
	}
	if s := u.Suspension; s != nil {
		out.Suspension.Set(apigen.Suspension{Reason: orNull(s.Reason), Since: s.Since, Until: orNull(s.Until)})
	}
	return out
}

func toSessionInfo(s identity.SessionInfo, current uuid.UUID) apigen.SessionInfo {
	return apigen.SessionInfo{
		ID: s.ID, IP: addressOrNull(s.IP), UserAgent: s.UserAgent, Current: s.ID == current,
		CreatedAt: s.CreatedAt, LastUsedAt: s.LastUsedAt, ExpiresAt: s.ExpiresAt,
	}
}

func toExportedSession(s identity.SessionInfo) apigen.ExportedSession {
	return apigen.ExportedSession{
		ID: s.ID, IP: addressOrNull(s.IP), UserAgent: s.UserAgent, CreatedAt: s.CreatedAt, LastUsedAt: s.LastUsedAt,
		ExpiresAt: s.ExpiresAt, EndedAt: orNull(s.EndedAt), EndReason: orNull(s.EndReason),
	}
}

func toExportedDevice(d identity.KnownDevice) apigen.ExportedDevice {
	return apigen.ExportedDevice{Name: d.Name, FirstSeenAt: d.FirstSeenAt, LastSeenAt: d.LastSeenAt}
}

func addressOrNull(address netip.Addr) nullable.Nullable[string] {
	if !address.IsValid() {
		return nullable.NewNullNullable[string]()
	}
	return nullable.NewNullableWithValue(address.String())
}

func toAuditEvent(e audit.Event) apigen.AuditEvent {
	out := apigen.AuditEvent{
		ID: e.ID, Type: apigen.AuditEventType(e.Type), Details: e.Details, CreatedAt: e.At,
		Actor:  apigen.AuditActor{Type: apigen.AuditActorType(e.Actor.Type), ID: idOrNull(e.Actor.ID)},
		Target: nullable.NewNullNullable[apigen.AuditTarget](),
		IP:     addressOrNull(e.IP), UserAgent: orNull(optional(e.UserAgent)), RequestID: orNull(optional(e.RequestID)),
	}
	if e.Target.Type != "" {
		out.Target.Set(apigen.AuditTarget{Type: apigen.AuditTargetType(e.Target.Type), ID: idOrNull(e.Target.ID)})
	}
	return out
}

func idOrNull(id uuid.UUID) nullable.Nullable[uuid.UUID] {
	if id == uuid.Nil {
		return nullable.NewNullNullable[uuid.UUID]()
	}
	return nullable.NewNullableWithValue(id)
}

func toAPIKey(k identity.APIKey) apigen.APIKey {
	return apigen.APIKey{
		ID: k.ID, Name: k.Name, Scopes: toScopes(k.Scopes), ExpiresAt: orNull(k.ExpiresAt), LastUsedAt: orNull(k.LastUsedAt),
		RotatedAt: orNull(k.RotatedAt), PreviousExpiresAt: orNull(k.PreviousExpiresAt), CreatedAt: k.CreatedAt,
	}
}

func toCreatedAPIKey(key identity.APIKey, text string) apigen.CreatedAPIKey {
	k := toAPIKey(key)
	return apigen.CreatedAPIKey{
		ID: k.ID, Name: k.Name, Scopes: k.Scopes, ExpiresAt: k.ExpiresAt, LastUsedAt: k.LastUsedAt,
		RotatedAt: k.RotatedAt, PreviousExpiresAt: k.PreviousExpiresAt, CreatedAt: k.CreatedAt, Key: text,
	}
}

func toScopes(scopes []string) []apigen.Scope {
	out := make([]apigen.Scope, len(scopes))
	for i, s := range scopes {
		out[i] = apigen.Scope(s)
	}
	return out
}

func toJWK(k tokens.JWK) apigen.JSONWebKey {
	return apigen.JSONWebKey{
		Kty: k.Kty, Kid: k.Kid, Use: k.Use, Alg: k.Alg,
		Crv: optional(k.Crv), X: optional(k.X), Y: optional(k.Y), N: optional(k.N), E: optional(k.E),
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
