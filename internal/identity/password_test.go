package identity

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
)

func TestPassword_Rules(t *testing.T) {
	t.Parallel()
	const (
		email = "grace.hopper+mail@example.com"
		name  = "Grace Brewster Hopper"

		short  = "must have at least 8 characters"
		long   = "must have at most 256 characters"
		common = "is among the most common passwords"
		own    = "must not be the account's e-mail address or name"
	)
	for title, test := range map[string]struct {
		password string
		message  string // empty for a good one
	}{
		"Phrase":            {rightPassword, ""},
		"Empty":             {"", short},
		"Seven":             {strings.Repeat("a", 7), short},
		"Eight":             {"ghvq bjw", ""},
		"EightSpaces":       {strings.Repeat(" ", 8), ""},
		"EightNULs":         {strings.Repeat("\x00", 8), ""},
		"SpacesCount":       {"  short ", ""},
		"SevenOfTwoBytes":   {strings.Repeat("é", 7), short},
		"EightOfTwoBytes":   {strings.Repeat("é", 8), ""},
		"SevenOfFourBytes":  {strings.Repeat("😀", 7), short},
		"InvalidUTF8":       {"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8", ""},
		"Most":              {strings.Repeat("a", 256), ""},
		"MostOfFourBytes":   {strings.Repeat("😀", 256), ""},
		"TooMany":           {strings.Repeat("a", 257), long},
		"TooManyOfTwoBytes": {strings.Repeat("é", 257), long},

		"Common":            {"password", common},
		"CommonInAnyCase":   {"PassWord1", common},
		"CommonDigits":      {"12345678", common},
		"CommonRepeated":    {"00000000", common},
		"CommonKeys":        {"qwertyuiop", common},
		"CommonWithSymbol":  {"P@ssw0rd", common},
		"CommonOfLate":      {"Admin@123", common},
		"CommonNotASCII":    {"CONTRASEÑA", common},
		"First":             {"!qaz2wsx", common},
		"CommonAndMore":     {"password of mine", ""},
		"CommonWithSpace":   {" password", ""},
		"TwoLinesOfTheList": {"password\npassword1", ""},

		"Email":               {email, own},
		"EmailInAnyCase":      {"Grace.Hopper+Mail@Example.COM", own},
		"EmailOtherwise":      {"grace hopper mail example com", own},
		"LocalPart":           {"grace.hopper+mail", own},
		"Mailbox":             {"grace.hopper", own},
		"MailboxOtherwise":    {"GraceHopper", own},
		"Name":                {name, own},
		"NameInAnyCase":       {"GRACE BREWSTER HOPPER", own},
		"NameOtherwise":       {"grace-brewster-hopper!", own},
		"NameAndMore":         {"grace brewster hopper, admiral", ""},
		"Domain":              {"example.com", ""},
		"PunctuationIsNoName": {"- - - - -", ""},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			err := checkPassword("/new_password", test.password, email, name)
			if test.message == "" {
				require.NoError(t, err)
				return
			}
			refusal := apperr.From(err)
			require.Equal(t, apperr.Invalid, refusal.Kind)
			require.Equal(t, []apperr.Field{{Pointer: "/new_password", Message: test.message}}, refusal.Fields)
		})
	}
}

// Names that are too short for a password do not stand for longer ones.
func TestPassword_ShortName(t *testing.T) {
	t.Parallel()
	for title, test := range map[string]struct {
		password, email, name string
		own                   bool
	}{
		"None":              {"ghvq bjw", "", "", false},
		"Spaced":            {"a...d...a", "ada@example.com", "Ada", false},
		"NoLetters":         {"--------", "ada@example.com", "-", false},
		"Digits":            {"adalovelace1852", "ada@example.com", "Ada Lovelace 1815", false},
		"LegalAsItIs":       {"ada l. b.", "ada@example.com", "Ada L. B.", true},
		"LegalAsItIsSpaced": {"ada-l-b--", "ada@example.com", "Ada L. B.", false},
		"NotAnAddress":      {"ghvq bjw", "ghvq", "Ada", false},
		"AtInLocalPart":     {`"a@b.example"`, `"a@b.example"@example.com`, "", true},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			err := checkPassword("/password", test.password, test.email, test.name)
			if test.own {
				require.ErrorContains(t, err, "validation_failed")
				return
			}
			require.NoError(t, err)
		})
	}
}

// The list is what the search takes it for, and holds nothing in vain.
func TestPassword_CommonList(t *testing.T) {
	t.Parallel()
	list := commonPasswords()
	require.Greater(t, len(list), 20_000)
	require.True(t, slices.IsSorted(list))
	require.Len(t, slices.Compact(slices.Clone(list)), len(list))
	for _, password := range list {
		n := utf8.RuneCountInString(password)
		require.True(t, n >= minPassword && n <= maxPassword, password)
		require.Equal(t, strings.TrimSpace(strings.ToLower(password)), password)
	}
	for _, password := range []string{list[0], list[len(list)/2], list[len(list)-1]} {
		require.True(t, isCommon(password), password)
		require.True(t, isCommon(strings.ToUpper(password)), password)
	}
}
