package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/mailer"
)

func TestMailCommands(t *testing.T) {
	t.Parallel()
	s, box := startServiceWithMail(t)
	mail := func(environ []string, args ...string) (code int, out string) {
		var all bytes.Buffer
		code = run(t.Context(), append([]string{"mail"}, args...), env{stdin: strings.NewReader(""), stdout: &all, stderr: &all, environ: environ})
		return code, all.String()
	}
	code, out := mail(s.environ, "test", "--to", "op@example.com")
	require.Zero(t, code, out)
	require.Contains(t, out, "has taken the mail")
	_, token := mailed(t, box, "op@example.com", "Confirm")
	require.Equal(t, "this-is-only-a-test", token)
	code, out = mail(append(s.environ, "AUTH_SMTP_PORT=1"), "test", "--to", "op@example.com")
	require.Equal(t, 1, code, out)
	code, out = mail(append(s.environ, "AUTH_SMTP_HOST=no host"), "test", "--to", "op@example.com")
	require.Equal(t, 1, code)
	require.Contains(t, out, "AUTH_SMTP_HOST")

	// Exported, changed, checked, looked at; and refused when broken.
	dir, seen := filepath.Join(t.TempDir(), "templates"), filepath.Join(t.TempDir(), "preview")
	code, out = mail(nil, "templates", "export", dir)
	require.Zero(t, code, out)
	welcome := filepath.Join(dir, "en", "welcome.txt")
	text, err := os.ReadFile(welcome)
	require.NoError(t, err)
	changed := strings.Replace(string(text), "Your address is confirmed", "Glad to see you", 1)
	require.NotEqual(t, string(text), changed)
	require.NoError(t, os.WriteFile(welcome, []byte(changed), 0o600))
	code, out = mail(nil, "templates", "check", dir)
	require.Zero(t, code, out)
	require.Contains(t, out, "de, en, it")
	code, out = mail(nil, "templates", "preview", "--templates", dir, seen)
	require.Zero(t, code, out)
	files, err := os.ReadDir(seen)
	require.NoError(t, err)
	require.Len(t, files, 2*len(mailer.Kinds()))
	shown, err := os.ReadFile(filepath.Join(seen, "welcome.txt"))
	require.NoError(t, err)
	require.Contains(t, string(shown), "Glad to see you")

	require.NoError(t, os.WriteFile(welcome, []byte(strings.Replace(changed, "Glad to see you", "{{.Nothing}}", 1)), 0o600))
	code, out = mail(nil, "templates", "check", dir)
	require.Equal(t, 1, code)
	require.Contains(t, out, "welcome.txt")
}
