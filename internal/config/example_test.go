package config

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/joho/godotenv"
	"github.com/stretchr/testify/require"
)

func TestWriteExample(t *testing.T) {
	t.Parallel()
	for file, of := range map[string]struct {
		write func(io.Writer) error
		line  string // of a setting
	}{
		"../../.env.example":       {WriteExample, `(?m)^(# )?%s=`},
		"../../deploy/SETTINGS.md": {WriteTable, "(?m)^\\| `%s` \\| [^|]*\\| [^|]+ \\|$"},
	} {
		var want bytes.Buffer
		require.NoError(t, of.write(&want))
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, want.String(), string(got), "run go generate ./internal/config")
		for _, name := range append(names(), "DATABASE_URL") {
			require.Regexp(t, fmt.Sprintf(of.line, name), want.String(), file)
		}
	}
}

// Whoever copies the example and changes nothing is told what to change.
func TestWriteExample_IsRefused(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, WriteExample(&b))
	want := []string{
		"DATABASE_URL: still has the example's password",
		"AUTH_ENCRYPTION_KEY: must be 32 random bytes in base64 or hexadecimal: openssl rand -base64 32",
	}
	for name, text := range map[string]string{
		"AsItIs": b.String(),
		// The defaults, at least, are right.
		"AllOfIt": strings.ReplaceAll(b.String(), "\n# AUTH_", "\nAUTH_"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values, err := godotenv.Unmarshal(text)
			require.NoError(t, err)
			var entries []string
			for name, value := range values {
				entries = append(entries, name+"="+value)
			}
			if name == "AllOfIt" {
				require.Len(t, entries, len(names())+1)
			}
			_, err = Load(entries)
			require.Equal(t, want, lines(err))
		})
	}
}
