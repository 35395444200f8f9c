package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecret_NeverPrints(t *testing.T) {
	t.Parallel()
	secret := NewSecret("hunter2")
	pointer := &secret
	c := Config{DatabaseURL: secret, EncryptionKey: secret, PasswordPepper: secret, PasswordPepperPrevious: secret, SMTP: SMTP{Password: secret}}

	for name, value := range map[string]any{
		"Itself": secret, "Pointer": pointer, "PointerToPointer": &pointer,
		"InStruct": c, "InPointer": &c, "InSlice": []Secret{secret}, "InMap": map[string]Secret{"a": secret},
		"InError": fmt.Errorf("failed with %v", secret),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
				requireNoSecret(t, fmt.Sprintf(verb, value))
			}
			text, err := json.Marshal(value)
			require.NoError(t, err)
			requireNoSecret(t, string(text))

			var log bytes.Buffer
			o := &slog.HandlerOptions{Level: slog.LevelDebug}
			for _, handler := range []slog.Handler{slog.NewTextHandler(&log, o), slog.NewJSONHandler(&log, o)} {
				slog.New(handler).With("before", value).WithGroup("group").Debug("line", "value", value, slog.Any("any", value))
			}
			requireNoSecret(t, log.String())
		})
	}
	require.Equal(t, "[secret] [secret] [secret]", fmt.Sprintf("%v %s %#v", secret, secret, secret))
	require.Equal(t, "[secret]", Secret{}.String(), "nor whether there is one")
	text, err := json.Marshal(secret)
	require.NoError(t, err)
	require.Equal(t, `"[secret]"`, string(text))
}

func requireNoSecret(t *testing.T, text string) {
	t.Helper()
	require.NotEmpty(t, text)
	require.NotContains(t, text, "hunter2")
	require.NotContains(t, text, fmt.Sprintf("%x", "hunter2"))
}

func TestSecret_File(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ content, want string }{
		"AsItIs":      {"postgres://x", "postgres://x"},
		"Newline":     {"postgres://x\n", "postgres://x"},
		"CRLF":        {"postgres://x\r\n", "postgres://x"},
		"InnerLines":  {"a\nb\n", "a\nb"},
		"SpacesStay":  {" a ", " a "},
		"NotFollowed": {"file:/etc/passwd", "file:/etc/passwd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := load(t, "DATABASE_URL=file:"+writeFile(t, test.content))
			require.Equal(t, test.want, c.DatabaseURL.Reveal())
		})
	}
	t.Run("EverySecret", func(t *testing.T) {
		t.Parallel()
		c, err := Load([]string{
			"DATABASE_URL=file:" + writeFile(t, goodURL),
			"AUTH_ENCRYPTION_KEY=file:" + writeFile(t, goodKey+"\n"),
			"AUTH_PASSWORD_PEPPER=file:" + writeFile(t, goodPepper),
			"AUTH_PASSWORD_PEPPER_PREVIOUS=file:" + writeFile(t, olderPepper),
			"AUTH_SMTP_PASSWORD=file:" + writeFile(t, "hunter2\n"),
		})
		require.NoError(t, err)
		require.Equal(t, []string{goodURL, goodKey, goodPepper, olderPepper, "hunter2"}, []string{
			c.DatabaseURL.Reveal(), c.EncryptionKey.Reveal(), c.PasswordPepper.Reveal(), c.PasswordPepperPrevious.Reveal(), c.SMTP.Password.Reveal(),
		})
	})
	t.Run("IsValidatedToo", func(t *testing.T) {
		t.Parallel()
		_, err := Load(environ("AUTH_ENCRYPTION_KEY=file:" + writeFile(t, exampleSecret)))
		require.ErrorContains(t, err, "AUTH_ENCRYPTION_KEY: must be")
	})
	t.Run("Empty", func(t *testing.T) {
		t.Parallel()
		_, err := Load(environ("AUTH_ENCRYPTION_KEY=file:" + writeFile(t, "\n")))
		require.ErrorContains(t, err, "AUTH_ENCRYPTION_KEY: is required")
	})
	t.Run("Unreadable", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"DATABASE_URL", "AUTH_ENCRYPTION_KEY", "AUTH_PASSWORD_PEPPER", "AUTH_PASSWORD_PEPPER_PREVIOUS", "AUTH_SMTP_PASSWORD", "AUTH_DATABASE_REPLICA_URL"} {
			for _, path := range []string{"", "/nowhere/at/all", t.TempDir()} {
				_, err := Load(environ(name + "=file:" + path))
				require.Len(t, lines(err), 1)
				require.ErrorContains(t, err, name+": ")
				require.NotContains(t, err.Error(), "nowhere")
			}
		}
	})
	t.Run("OnlySecrets", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "file:/x", load(t, "AUTH_JWT_AUDIENCE=file:/x").JWT.Audience)
	})
}
