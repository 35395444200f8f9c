package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/config"
)

var units = []string{"authservice.service", "authservice-migrate.service"}

// unitFiles are copies of the units, which run the program that was just built.
func unitFiles(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, unit := range units {
		content := read(t, "systemd/"+unit)
		require.Contains(t, content, "ExecStart=/usr/local/bin/authservice ")
		content = strings.ReplaceAll(content, "/usr/local/bin/authservice", program(t))
		require.NoError(t, os.WriteFile(filepath.Join(dir, unit), []byte(content), 0o600))
	}
	return dir
}

func analyze(dir string, args ...string) (string, error) {
	cmd := exec.Command("systemd-analyze", append(args, "--no-pager")...)
	cmd.Dir = dir
	output, err := cmd.CombinedOutput()
	return string(output), err
}

func TestSystemd_Verify(t *testing.T) {
	t.Parallel()
	dir := unitFiles(t)
	output, err := analyze(dir, append([]string{"verify", "--man=no", "--recursive-errors=one"}, units...)...)
	require.NoError(t, err, output)
	require.Empty(t, output)

	unit := filepath.Join(dir, units[0])
	content, err := os.ReadFile(unit)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(unit, append(content, "[Service]\nRestartSecond=1\n"...), 0o600))
	output, _ = analyze(dir, "verify", "--man=no", units[0])
	require.Contains(t, output, "RestartSecond", "systemd looks")
}

// A service that is broken into can do little else than the service could.
func TestSystemd_Security(t *testing.T) {
	t.Parallel()
	dir := unitFiles(t)
	for _, unit := range units {
		output, err := analyze(dir, "security", "--offline=yes", "--threshold=15", unit) // in tenths; 100 is exposed to all
		require.NoError(t, err, output)
	}
}

func TestSystemd_Settings(t *testing.T) {
	t.Parallel()
	unit := read(t, "systemd/authservice.service")
	seen, err := dotenv.Read(filepath.Join(deploy, "systemd/authservice.env.example"))
	require.NoError(t, err)
	requirePlaceholdersRefused(t, environment(seen), "DATABASE_URL", "AUTH_ENCRYPTION_KEY")
	seen["AUTH_ENCRYPTION_KEY"] = goodKey
	seen["DATABASE_URL"] = strings.ReplaceAll(seen["DATABASE_URL"], "change-me", goodPassword)
	c := requireSettings(t, environment(seen))
	stop, err := time.ParseDuration(regexp.MustCompile(`TimeoutStopSec=(\d+)`).FindStringSubmatch(unit)[1] + "s")
	require.NoError(t, err)
	require.Greater(t, stop, *c.HTTP.DrainDelay+c.HTTP.ShutdownTimeout+4*time.Second)

	migrate, err := dotenv.Read(filepath.Join(deploy, "systemd/migrate.env.example"))
	require.NoError(t, err)
	_, err = config.DatabaseURL(environment(migrate))
	require.NoError(t, err)
	for name, file := range map[string]string{units[0]: "authservice.env", units[1]: "migrate.env"} {
		require.Contains(t, read(t, "systemd/"+name), "EnvironmentFile=/etc/authservice/"+file)
	}
}
