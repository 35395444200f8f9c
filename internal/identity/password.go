package identity

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/authservice/authservice/internal/apperr"
)

// Lengths of a password, in characters (NIST SP 800-63B, section 3.1.1.2, asks
// for at least 8 and to allow at least 64).
const (
	minPassword = 8
	maxPassword = 256
)

// checkPassword refuses, as the field at pointer, a new password that is too
// short or too long, or that an attacker would try first. There are no rules on
// what it is made of, and it is taken as it is: nothing is trimmed or folded.
func checkPassword(pointer, password, email, name string) error {
	switch n := utf8.RuneCountInString(password); {
	case n < minPassword:
		return apperr.InvalidField(pointer, fmt.Sprintf("must have at least %d characters", minPassword))
	case n > maxPassword:
		return apperr.InvalidField(pointer, fmt.Sprintf("must have at most %d characters", maxPassword))
	case isCommon(password):
		return apperr.InvalidField(pointer, "is among the most common passwords")
	case isOwn(password, email, name):
		return apperr.InvalidField(pointer, "must not be the account's e-mail address or name")
	}
	return nil
}

// isOwn reports whether password is the account's name, its e-mail address, or
// what stands in that before the @ or before a +tag: in any case, and, where
// that leaves enough to be a password, with any spaces and punctuation.
func isOwn(password, email, name string) bool {
	local := email[:max(0, strings.LastIndexByte(email, '@'))]
	mailbox, _, _ := strings.Cut(local, "+")
	for _, own := range []string{name, email, local, mailbox} {
		if strings.EqualFold(password, own) {
			return true
		}
		if bare := lettersAndDigits(own); utf8.RuneCountInString(bare) >= minPassword && lettersAndDigits(password) == bare {
			return true
		}
	}
	return false
}

// lettersAndDigits returns those of s, in lower case.
func lettersAndDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, strings.ToLower(s))
}
