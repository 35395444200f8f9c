package mailer

import "slices"

// Kind is what a mail is about. Its templates carry its name.
type Kind string

// The kinds.
const (
	VerifyEmail        Kind = "verify_email"         // a new account: is this your address?
	Welcome            Kind = "welcome"              // the address is confirmed
	ResetPassword      Kind = "reset_password"       // the link that sets a new one
	PasswordChanged    Kind = "password_changed"     // it was changed or reset
	ConfirmEmailChange Kind = "confirm_email_change" // to the new address
	EmailChanged       Kind = "email_changed"        // to the old address
	Invitation         Kind = "invitation"           // somebody made an account for you
	RefreshReused      Kind = "refresh_reused"       // a refresh token was used twice: the session ended
	AccountExists      Kind = "account_exists"       // somebody registered, or moved to, an address that has an account
	NewSignIn          Kind = "new_sign_in"          // from a device not seen before
	CreditsGranted     Kind = "credits_granted"
	LowBalance         Kind = "low_balance"
)

// kinds holds the kinds in the order in which people meet them.
var kinds = []Kind{
	VerifyEmail, Welcome, ResetPassword, PasswordChanged, ConfirmEmailChange, EmailChanged,
	Invitation, RefreshReused, AccountExists, NewSignIn, CreditsGranted, LowBalance,
}

// Kinds returns all kinds.
func Kinds() []Kind { return slices.Clone(kinds) }

// Required tells whether accounts are not safe, or cannot be used, without the
// kind, so that it cannot be switched off.
func (k Kind) Required() bool {
	switch k {
	case Welcome, NewSignIn, CreditsGranted, LowBalance:
		return false
	default:
		return true
	}
}

// leadsHome tells whether a mail of the kind invites to the product itself.
func (k Kind) leadsHome() bool { return k == Welcome || k == CreditsGranted || k == LowBalance }

// needsLink tells whether a mail of the kind is useless without a link.
func (k Kind) needsLink() bool {
	switch k {
	case VerifyEmail, ResetPassword, ConfirmEmailChange, Invitation:
		return true
	default:
		return false
	}
}
