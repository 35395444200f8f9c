package identity

import (
	"net/mail"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/authservice/authservice/internal/apperr"
)

// ErrInvalidEmail refuses what is not an e-mail address.
var ErrInvalidEmail = apperr.InvalidField("/email", "must be an e-mail address")

// domains maps a domain to its ASCII form (RFC 5891) and refuses what DNS does not hold.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true))

// hostname tells a name below a top-level domain from a single label and from an IPv4 address.
var hostname = regexp.MustCompile(`\.[a-z][a-z0-9-]*$`)

// NormalizeEmail returns the one form in which an address is stored and
// compared: Unicode NFKC, lower case, domain in ASCII. Errors: ErrInvalidEmail.
func NormalizeEmail(address string) (string, error) {
	if !utf8.ValidString(address) {
		return "", ErrInvalidEmail
	}
	address = norm.NFKC.String(strings.ToLower(norm.NFKC.String(address)))
	at := strings.LastIndexByte(address, '@')
	if at < 1 {
		return "", ErrInvalidEmail
	}
	local := address[:at]
	// What cannot be seen could make two accounts that look the same.
	if strings.ContainsFunc(local, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", ErrInvalidEmail
	}
	domain, err := domains.ToASCII(address[at+1:])
	if err != nil || !hostname.MatchString(domain) {
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
