package audit

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"

	"github.com/google/uuid"
)

// LogTo returns a listener for New that writes one line an event, with the names
// of the Elastic Common Schema. user.id is the person that it is about.
func LogTo(log *slog.Logger) func(context.Context, Event) {
	return func(ctx context.Context, e Event) {
		action, outcome, level := lineName(e.Type)
		attrs := []slog.Attr{
			slog.String("event.action", action), slog.String("event.outcome", outcome), slog.String("event.category", category(e.Type)),
			slog.String("event.id", e.ID.String()), slog.String("authservice.actor.type", string(e.Actor.Type)),
		}
		add := func(name, value string) {
			if value != "" {
				attrs = append(attrs, slog.String(name, value))
			}
		}
		switch {
		case e.Target.Type == TargetUser:
			add("user.id", idText(e.Target.ID))
		case e.Actor.Type == ActorUser:
			add("user.id", idText(e.Actor.ID))
		}
		add("authservice.actor.id", idText(e.Actor.ID))
		if e.Target.Type != TargetUser {
			add("authservice.target.type", string(e.Target.Type))
			add("authservice.target.id", idText(e.Target.ID))
		}
		if e.IP.IsValid() {
			add("client.ip", e.IP.String())
		}
		var known struct {
			Reason string `json:"reason"`
		}
		_ = json.Unmarshal(e.Details, &known) // not every event has one
		add("event.reason", known.Reason)
		if string(e.Details) != "{}" {
			attrs = append(attrs, slog.Any("authservice.details", e.Details))
		}
		log.LogAttrs(ctx, level, action, attrs...)
	}
}

// lineName is what log lines call an event: login_success, login_failed, …
func lineName(t Type) (action, outcome string, level slog.Level) {
	action = strings.TrimPrefix(string(t), "authn_")
	if failed, ok := strings.CutSuffix(action, "_fail"); ok {
		return failed + "_failed", "failure", slog.LevelWarn
	}
	if t == RefreshTokenReuse || t == SessionUseAfterExpire {
		return action, "failure", slog.LevelWarn
	}
	return action, "success", slog.LevelInfo
}

// category is the schema's event.category.
func category(t Type) string {
	switch {
	case strings.HasPrefix(string(t), "authn_login"):
		return "authentication"
	case strings.HasPrefix(string(t), "session_"), t == RefreshTokenReuse:
		return "session"
	case t == SigningKeyRotated:
		return "configuration"
	}
	return "iam"
}

func idText(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}
