package telemetry

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a byte may be part of; most strings hold none of these.
const (
	isOdd   = 1 << iota // of a control character, or not ASCII
	isAt                // of an e-mail address
	isToken             // of a token
)

var classes = func() (c [256]uint8) {
	for b := range c {
		if b < ' ' && b != '\n' && b != '\t' || b > '~' {
			c[b] = isOdd
		}
	}
	c['@'], c['_'], c['J'] = isAt, isToken, isToken
	return c
}()

// clean returns s as it may stand in a log: of at most limit bytes, without the
// local parts of e-mail addresses, tokens and keys, and characters that a
// terminal obeys. It is a last line of defence: none of that should get here.
func clean(s string, limit int) string {
	if len(s) > limit {
		s = shorten(s, limit)
	}
	var found uint8
	for i := range len(s) {
		found |= classes[s[i]]
	}
	if found == 0 {
		return s
	}
	if found&isOdd != 0 {
		s = visible(s)
	}
	if found&isAt != 0 {
		s = maskAddresses(s)
	}
	if found&isToken != 0 && (strings.Contains(s, "ask_") || strings.Contains(s, "art_") || strings.Contains(s, "eyJ")) {
		s = tokens.ReplaceAllString(s, "[secret]")
	}
	return s
}

// tokens are API keys, refresh tokens and JWTs, also when they were cut off.
var tokens = regexp.MustCompile(`(?:ask|art)_[A-Za-z0-9_-]{8,}|eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}`)

func shorten(s string, limit int) string {
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:cut], len(s))
}

// visible spells out what is not printable, but for line breaks and tabs, which
// every format that we write escapes.
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) && r != utf8.RuneError || r == '\n' || r == '\t' {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// maskAddresses replaces what stands before each @, which also covers the
// password in a URL. Domains stay: which mail server makes trouble matters.
func maskAddresses(s string) string {
	var b strings.Builder
	for {
		at := strings.IndexByte(s, '@')
		if at < 0 {
			b.WriteString(s)
			return b.String()
		}
		if local := localPart(s[:at]); local > 0 && !moduleVersion.MatchString(s[at+1:]) {
			b.WriteString(s[:at-local])
			b.WriteString("***")
		} else {
			b.WriteString(s[:at])
		}
		b.WriteByte('@')
		s = s[at+1:]
	}
}

// moduleVersion follows the @ in the file names of a stack.
var moduleVersion = regexp.MustCompile(`^v\d+\.\d+\.\d+[-+/]`)

// localPart is the length of the local part of an address that s ends with.
func localPart(s string) int {
	if strings.HasSuffix(s, `"`) {
		if opened := strings.LastIndexByte(s[:len(s)-1], '"'); opened >= 0 {
			return len(s) - opened
		}
	}
	return len(s) - (strings.LastIndexAny(s, " \t\n:/<>()[],;=\"\\") + 1)
}
