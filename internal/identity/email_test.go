package identity

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIdentity_NormalizeEmail(t *testing.T) {
	t.Parallel()
	// The longest domain that a local part of 64 octets leaves room for: 189 octets.
	domain := strings.Repeat(strings.Repeat("d", 62)+".", 2) + strings.Repeat("d", 63)

	for name, test := range map[string]struct{ in, want string }{
		"AsItIs":            {"ada@example.com", "ada@example.com"},
		"UpperCase":         {"ADA@EXAMPLE.COM", "ada@example.com"},
		"FullWidth":         {"ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ada@example.com"},
		"FullWidthUpper":    {"ＡＤＡ@example.com", "ada@example.com"},
		"IdeographicStop":   {"ada@example。com", "ada@example.com"},
		"Ligature":          {"oﬃce@example.com", "office@example.com"},
		"KelvinSign":        {"\u212aelvin@example.com", "kelvin@example.com"},
		"Decomposed":        {"rene\u0301@example.com", "ren\u00e9@example.com"},
		"IDNDomain":         {"ada@Bücher.example", "ada@xn--bcher-kva.example"},
		"IDNDecomposed":     {"ada@bu\u0308cher.example", "ada@xn--bcher-kva.example"},
		"ASCIIFormOfIDN":    {"ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"},
		"SoftHyphenDomain":  {"ada@exam\u00adple.com", "ada@example.com"},
		"Tag":               {"ada+Tag@example.com", "ada+tag@example.com"},
		"AllOfAtext":        {"!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"},
		"EncodedWordIsText": {"=?utf-8?q?ada?=@example.com", "=?utf-8?q?ada?=@example.com"},
		"LongestLocal":      {strings.Repeat("a", 64) + "@example.com", strings.Repeat("a", 64) + "@example.com"},
		"LongestAddress":    {strings.Repeat("a", 64) + "@" + domain, strings.Repeat("a", 64) + "@" + domain},
		"OctetsCount":       {strings.Repeat("あ", 21) + "@example.com", strings.Repeat("あ", 21) + "@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := NormalizeEmail(test.in)
			require.NoError(t, err)
			require.Equal(t, test.want, got)

			again, err := NormalizeEmail(got)
			require.NoError(t, err)
			require.Equal(t, got, again, "the normal form is its own")
		})
	}
}

func TestIdentity_NormalizeEmail_Invalid(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"Empty":            "",
		"NoAt":             "ada.example.com",
		"NoLocal":          "@example.com",
		"NoDomain":         "ada@",
		"NoDot":            "ada@localhost",
		"TwoAts":           "ada@home@example.com",
		"FullWidthSecond":  "ada＠home@example.com",
		"LeadingDot":       ".ada@example.com",
		"TrailingDot":      "ada.@example.com",
		"DotDot":           "a..da@example.com",
		"EmptyLabel":       "ada@example..com",
		"DomainDotFirst":   "ada@.example.com",
		"DomainDotLast":    "ada@example.com.",
		"HyphenFirst":      "ada@-example.com",
		"HyphenLast":       "ada@example-.com",
		"Underscore":       "ada@exam_ple.com",
		"Literal":          "ada@[127.0.0.1]",
		"LiteralIPv6":      "ada@[IPv6:::1]",
		"BadPunycode":      "ada@xn--a-ecp-.com",
		"MixedDirection":   "ada@א1a.example",
		"Quoted":           `"ada"@example.com`,
		"QuotedSpace":      `"ada lovelace"@example.com`,
		"QuotedAt":         `"ada@home"@example.com`,
		"QuotedInside":     `a"d"a@example.com`,
		"Backslash":        `ad\a@example.com`,
		"Comment":          "ada(work)@example.com",
		"CommentInDomain":  "ada@example.com(work)",
		"DisplayName":      "Ada <ada@example.com>",
		"AngleBrackets":    "<ada@example.com>",
		"Two":              "ada@example.com,bob@example.com",
		"Group":            "friends:ada@example.com;",
		"SpaceBefore":      " ada@example.com",
		"SpaceAfter":       "ada@example.com ",
		"SpaceInLocal":     "ada lovelace@example.com",
		"SpaceBeforeAt":    "ada @example.com",
		"SpaceInDomain":    "ada@exam ple.com",
		"NoBreakSpace":     "ada\u00a0l@example.com",
		"Tab":              "ada\t@example.com",
		"LF":               "ada@example.com\n",
		"CRLFHeader":       "ada@example.com\r\nBcc: eve@example.com",
		"CRLFInLocal":      "ada\r\n@example.com",
		"FoldedLocal":      "ada\r\n lovelace@example.com",
		"NUL":              "ada\x00@example.com",
		"NULInDomain":      "ada@example\x00.com",
		"Delete":           "ada\x7f@example.com",
		"ZeroWidthSpace":   "ada\u200b@example.com",
		"SoftHyphen":       "a\u00adda@example.com",
		"RightToLeft":      "ada\u202e@example.com",
		"LineSeparator":    "ada\u2028@example.com",
		"Noncharacter":     "ada\ufdd0@example.com",
		"NotUTF8":          "ada\xff@example.com",
		"IPv4":             "ada@127.0.0.1",
		"Percent":          "ada@example.com%00",
		"LocalTooLong":     strings.Repeat("a", 65) + "@example.com",
		"LocalTooManyOcts": strings.Repeat("あ", 22) + "@example.com",
		"LabelTooLong":     "ada@" + strings.Repeat("d", 64) + ".com",
		"AddressTooLong":   strings.Repeat("a", 64) + "@" + strings.Repeat(strings.Repeat("d", 62)+".", 2) + strings.Repeat("d", 62) + ".d",
		"HugeDomain":       "ada@" + strings.Repeat("d.", 30_000) + "com",
		"HugeLocal":        strings.Repeat("a", 60_000) + "@example.com",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := NormalizeEmail(address)
			require.Equal(t, ErrInvalidEmail, err)
			require.Empty(t, got)
		})
	}
}
