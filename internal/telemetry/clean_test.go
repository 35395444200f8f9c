package telemetry

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                  "",
		"plain text, as most are":           "plain text, as most are",
		"two\nlines\tand a tab":             "two\nlines\tand a tab",
		"bell\a del\x7f esc\x1b[2J":         `bell\u0007 del\u007f esc\u001b[2J`,
		"csi\u009b2J bidi\u202e sep\u2028":  `csi\u009b2J bidi\u202e sep\u2028`,
		"broken \xff utf-8":                 `broken \ufffd utf-8`,
		"grüße 世界 🙂":                        "grüße 世界 🙂",
		"to ada@example.com failed":         "to ***@example.com failed",
		"<Ada.Lovelace+x@Example.com>":      "<***@Example.com>",
		"a@b.c,d@e.f; g@h.i":                "***@b.c,***@e.f; ***@h.i",
		`"odd name"@example.com`:            "***@example.com",
		"grüße@example.com":                 "***@example.com",
		"/v1/users/ada@example.com/credits": "/v1/users/***@example.com/credits",
		"postgres://me:hunter2@db/x":        "postgres://me:***@db/x",
		"?email=ada@example.com":            "?email=***@example.com",
		"@ nobody @":                        "@ nobody @",
		"a@":                                "***@",
		"echo/v4@v4.16.0/echo.go:12":        "echo/v4@v4.16.0/echo.go:12",
		"x@v4.example.com":                  "***@v4.example.com",
		"key ask_01a21d8dbc3d7e8799b3deea08f136ee_7a9417d6 used":           "key [secret] used",
		"art_01a21d8dbc3d7e8799b3deea08f136ee":                             "[secret]",
		"Bearer eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl expired": "Bearer [secret] expired",
		"task_name start_at eyJ":                                           "task_name start_at eyJ",
	} {
		require.Equal(t, want, clean(in, 1024))
		require.Equal(t, want, clean(want, 1024), "clean stays clean")
	}
}

func TestClean_Shortens(t *testing.T) {
	t.Parallel()
	require.Equal(t, "abc… (6 bytes)", clean("abcdef", 3))
	require.Equal(t, "ab… (7 bytes)", clean("abé世", 3), "no half of a character")
	require.Equal(t, "see [secret]… (53 bytes)", clean("see ask_01a21d8dbc3d7e8799b3deea08f136ee_7a9417d69876", 20), "no piece of a key")
	require.Equal(t, "***@exam… (15 bytes)", clean("ada@example.com", 8))
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"", "a@b", "\"@", "ask_12345678", "\x1b[", "é@\xff", "eyJaaaaaaaa.b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := clean(s, 64)
		require.True(t, utf8.ValidString(c))
		require.LessOrEqual(t, len(c), 64*8+32)
		require.False(t, strings.ContainsFunc(c, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 }))
		require.False(t, tokens.MatchString(c))
	})
}
