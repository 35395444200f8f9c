package httpapi

import (
	"context"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/audit"
	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/identity"
	"github.com/authservice/authservice/internal/telemetry"
)

// call is what is known of a request beside its body. It is made when the
// request comes in, filled as it passes, and logged when it is answered.
type call struct {
	id          string // X-Request-ID
	operation   string // operationId; empty outside the contract
	caller      identity.Caller
	device      identity.Device
	key         string // Idempotency-Key
	fingerprint [32]byte
	err         *apperr.Error // why it was refused
	work        telemetry.Work
	span        trace.Span // of the operation; nil for none

	acceptLanguage string // the header in which a browser names its person's languages
}

type callKey struct{}

func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// source is where the request comes from, in the words of the audit events.
func (c *call) source() audit.Source {
	actor := audit.Anonymous
	switch {
	case c.caller.IsKey():
		actor = audit.Actor{Type: audit.ActorAPIKey, ID: c.caller.APIKeyID}
	case c.caller.UserID != uuid.Nil:
		actor = audit.User(c.caller.UserID)
	}
	return audit.Source{Actor: actor, RequestID: c.id, IP: c.device.IP, UserAgent: identity.CleanAgent(c.device.UserAgent)}
}

// actor is the caller in the ledger's words.
func (c *call) actor() creditledger.Actor {
	if c.caller.IsKey() {
		return creditledger.Actor{Type: creditledger.ActorAPIKey, ID: c.caller.APIKeyID}
	}
	return creditledger.Actor{Type: creditledger.ActorUser, ID: c.caller.UserID}
}

// ledgerRequest is the request in the ledger's words.
func (c *call) ledgerRequest() creditledger.Request {
	return creditledger.Request{
		Actor: c.actor(), Key: c.key, Fingerprint: c.fingerprint,
		Refusal: func(e *apperr.Error) (int, []byte) { return encodeProblem(e, c.id) },
	}
}
