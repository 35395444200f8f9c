package identity

import (
	"golang.org/x/text/language"

	"github.com/authservice/authservice/internal/apperr"
)

// maxLocale is the length of a language tag, in characters.
const maxLocale = 35

// normalizeLocale returns the one form of a language tag (BCP 47): de-at is
// de-AT. Empty stays empty. Errors: what is no tag, or one of a language that
// nobody speaks.
func normalizeLocale(locale string) (string, error) {
	if locale == "" {
		return "", nil
	}
	tag, err := language.Parse(locale)
	normal := tag.String()
	if base, _, _ := tag.Raw(); err != nil || base.String() == "und" || len(normal) > maxLocale {
		return "", apperr.InvalidField("/locale", "must be a language tag such as de or de-AT")
	}
	return normal, nil
}

// localeOf is the language of somebody who registers: the one they name, or the
// one that their browser prefers.
func (s *Service) localeOf(n NewUser) (string, error) {
	if n.Locale == "" && s.Mailer != nil {
		n.Locale = s.Mailer.Prefer(n.AcceptLanguage)
	}
	return normalizeLocale(n.Locale)
}
