package audit

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/google/uuid"
)

// Type is what kind of thing happened.
type Type string

// The types. Details are given where there are any.
const (
	UserCreated            Type = "user_created"                  // role
	UserUpdated            Type = "user_updated"                  // fields: their names
	UserDeleted            Type = "user_deleted"                  // role: the last one
	UserSuspended          Type = "user_suspended"                // before, after: status; until
	UserUnsuspended        Type = "user_unsuspended"              // before, after: status; reason: expired, if it ran out
	PermissionsChanged     Type = "privilege_permissions_changed" // before, after: role
	LoginSuccess           Type = "authn_login_success"           // session_id
	LoginFail              Type = "authn_login_fail"              // reason
	PasswordChange         Type = "authn_password_change"         // reason: password_changed or password_reset
	PasswordChangeFail     Type = "authn_password_change_fail"    // reason
	PasswordResetRequested Type = "authn_password_reset_requested"
	EmailVerified          Type = "authn_email_verified"
	EmailChangeRequested   Type = "authn_email_change_requested"
	EmailChanged           Type = "authn_email_changed"
	VerificationRequested  Type = "authn_email_verification_requested"
	PasswordConfirmFail    Type = "authn_password_confirm_fail" // operation
	SessionRenewed         Type = "session_renewed"             // session_id
	SessionExpired         Type = "session_expired"             // session_id, reason
	RefreshTokenReuse      Type = "authn_token_reuse"           // session_id
	SessionUseAfterExpire  Type = "session_use_after_expire"    // session_id; a refresh token of a session that is over
	APIKeyCreated          Type = "authn_token_created"         // scopes
	APIKeyRotated          Type = "authn_token_rotated"
	APIKeyDeleted          Type = "authn_token_deleted"
	SigningKeyRotated      Type = "signing_key_rotated" // kid, state
)

// ActorType is the kind of who did it.
type ActorType string

// The kinds of actors.
const (
	ActorUser      ActorType = "user"
	ActorAPIKey    ActorType = "api_key"
	ActorSystem    ActorType = "system"    // the service itself, or an operator at its command line
	ActorAnonymous ActorType = "anonymous" // nobody who has shown who they are
)

// Actor is who did it. ID is set for users and API keys.
type Actor struct {
	Type ActorType
	ID   uuid.UUID
}

// User is a person as an actor.
func User(id uuid.UUID) Actor { return Actor{Type: ActorUser, ID: id} }

// System is the service itself as an actor.
var System = Actor{Type: ActorSystem}

// Anonymous is whoever has not shown who they are.
var Anonymous = Actor{Type: ActorAnonymous}

// TargetType is the kind of what it was done to.
type TargetType string

// The kinds of targets.
const (
	TargetUser       TargetType = "user"
	TargetAPIKey     TargetType = "api_key"
	TargetSigningKey TargetType = "signing_key" // named in the details: its id is no UUID
)

// Target is what it was done to; the zero value is nothing that is known.
type Target struct {
	Type TargetType
	ID   uuid.UUID
}

// OnUser is a person as a target.
func OnUser(id uuid.UUID) Target { return Target{Type: TargetUser, ID: id} }

// Details are what else there is to say. They must hold neither secrets nor
// personal data: they are kept when the person is erased.
type Details map[string]any

// Event is something that happened.
type Event struct {
	ID        uuid.UUID
	Type      Type
	Actor     Actor
	Target    Target
	Details   json.RawMessage
	RequestID string
	IP        netip.Addr // invalid where it was erased, or there was none
	UserAgent string
	At        time.Time
}
