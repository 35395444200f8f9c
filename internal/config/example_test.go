package config

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/joho/godotenv"
	"github.com/stretchr/testify/require"
)

const exampleFile = "../../.env.example"

func TestWriteExample_FileIsCurrent(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	require.NoError(t, WriteExample(&want))
	got, err := os.ReadFile(exampleFile)
	require.NoError(t, err)
	require.Equal(t, want.String(), string(got), "run go generate ./internal/config")
}

func TestWriteExample_ListsEverySetting(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, WriteExample(&b))
	for _, name := range append(names(), "DATABASE_URL") {
		require.Regexp(t, `(?m)^(# )?`+name+`=`, b.String())
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
