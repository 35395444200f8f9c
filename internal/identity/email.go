package identity

import (
	"net/mail"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/authservice/authservice/internal/apperr"
)

// ErrInvalidEmail refuses what is not an e-mail address.
var ErrInvalidEmail = apperr.InvalidField("/email", "must be an e-mail address")

// domains maps a domain to its ASCII form (RFC 5891) and refuses what DNS does not hold.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

// NormalizeEmail returns the one form in which an address is stored and
// compared: Unicode NFKC, lower case, domain in ASCII. Errors: ErrInvalidEmail.
func NormalizeEmail(address string) (string, error) {
	address = norm.NFKC.String(strings.ToLower(norm.NFKC.String(address)))
	at := strings.LastIndexByte(address, '@')
	if at < 1 {
		return "", ErrInvalidEmail
	}
	local := address[:at]
	domain, err := domains.ToASCII(address[at+1:])
	if err != nil || !strings.Contains(domain, ".") {
		return "", ErrInvalidEmail
	}
	address = local + "@" + domain
	// Lengths are RFC 5321's, in octets, less the angle brackets of the path.
	if len(local) > 64 || len(address) > 254 {
		return "", ErrInvalidEmail
	}
	// What reads back as something else had quotes, comments or a name.
	parsed, err := mail.ParseAddress("<" + address + ">")
	if err != nil || parsed.Address != address || parsed.Name != "" {
		return "", ErrInvalidEmail
	}
	return address, nil
}
