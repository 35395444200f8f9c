//go:build browser

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A person registers, opens the mailbox, verifies, forgets and resets the
// password and logs in: all of it in Chromium, on a running dev. With -artifacts
// the screenshots stay.
//
//	go test -tags browser ./cmd/authservice -run Browser
//
// It needs Chromium, Node.js, and the registry of npm.
func TestBrowser_Journey(t *testing.T) {
	t.Parallel()
	script := filepath.Join("testdata", "browser")
	command(t, script, nil, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	dev := startDev(t, t.TempDir())
	command(t, script, []string{
		"BASE_URL=" + dev.info.BaseURL, "MAILBOX_URL=" + *dev.info.MailboxURL, "CHROMIUM=" + browser(t), "SCREENSHOTS=" + t.ArtifactDir(),
	}, "node", "journey.mjs")
}

// browser is where Chromium is.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	require.Fail(t, "there is no Chromium on the PATH")
	return ""
}

func command(t *testing.T, dir string, environ []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), environ...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
