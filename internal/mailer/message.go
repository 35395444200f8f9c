package mailer

import (
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Message is what a mail has to say. Kind and To are always needed; a mail
// leaves out what is empty. Nothing in it is trusted but the Link's host, which
// must come from settings.
type Message struct {
	Kind Kind
	To   string // a bare address with its domain in ASCII
	Name string // of the person
	// Locale is the person's, as "de-AT"; where there are no templates in that
	// language, the service's own is used.
	Locale string
	// ID makes the Message-ID: the same for each try, so that a copy that was
	// sent after a crash can be recognised. Letters, digits, dots, dashes and
	// underscores; made up where empty.
	ID string

	// Link is an http or https URL: what to open to confirm, to choose a
	// password, or to see more. VerifyEmail, ResetPassword, ConfirmEmailChange
	// and Invitation need it.
	Link         string
	LinkLifetime time.Duration // zero: for ever, and as often as one likes

	// When it happened, from where, and on what.
	At        time.Time
	IP        string
	UserAgent string

	NewEmail string // EmailChanged

	// Credits, in the smallest unit.
	Amount    *int64 // CreditsGranted
	Balance   *int64 // CreditsGranted, LowBalance
	Threshold *int64 // LowBalance: what the balance fell below
}

// Sample is a message of a kind for previews and trials, with everything that
// the kind can show.
func Sample(kind Kind, locale string) Message {
	m := Message{
		Kind: kind, To: "ada@example.com", Name: "Ada Lovelace", Locale: locale,
		At: time.Date(2026, time.November, 24, 14, 5, 0, 0, time.UTC), IP: "203.0.113.7",
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		Link:      "https://app.example.com/", NewEmail: "countess@example.com",
		Amount: new(int64(100_050)), Balance: new(int64(1_234_500)), Threshold: new(int64(2_500)),
	}
	if kind == LowBalance {
		m.Balance = new(int64(1_250))
	}
	page, lifetime := "", 24*time.Hour
	switch kind {
	case VerifyEmail, ConfirmEmailChange:
		page = "verify-email"
	case ResetPassword, PasswordChanged, RefreshReused, AccountExists, NewSignIn:
		page, lifetime = "reset-password", 30*time.Minute
	case Invitation:
		page, lifetime = "reset-password", 7*24*time.Hour
	default: // the front page
	}
	if kind.needsLink() {
		m.LinkLifetime = lifetime
		page += "#token=sample-0123456789"
	}
	m.Link += page
	return m
}

// bare is m with no more than its kind needs.
func (m Message) bare() Message {
	b := Message{Kind: m.Kind, To: m.To, Locale: m.Locale}
	if m.Kind.needsLink() {
		b.Link = m.Link
	}
	return b
}

// Longer ones are cut: they are shown in full nowhere.
const (
	maxName = 80
	maxLine = 120
)

// line makes one line of text that was somebody else's to choose: no control
// characters, nothing that turns the direction of what follows, not too long.
func line(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		case unicode.IsControl(r), unicode.IsSpace(r), r == unicode.ReplacementChar:
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return s
}

// isWebURL tells whether s is an absolute http or https URL.
func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil &&
		!strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII || strings.ContainsRune(" <>\"'`", r) })
}
