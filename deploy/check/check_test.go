package check

import (
	"debug/elf"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/config"
)

// root is the repository, and deploy what is looked at.
const (
	root   = "../.."
	deploy = root + "/deploy"
)

// maxProgram is what the program may measure, in bytes.
const maxProgram = 40_000_000

// builtIn is where TestMain has the program built, at most once.
var builtIn string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "authservice")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		if err := os.Chmod(dir, 0o755); err != nil { // for servers that run as somebody else
			panic(err)
		}
		builtIn = dir
		return m.Run()
	}())
}

var build = sync.OnceValues(func() (string, error) {
	out := filepath.Join(builtIn, "authservice")
	command, err := buildCommand()
	if err != nil {
		return "", err
	}
	shell := exec.Command("sh", "-c", strings.ReplaceAll(command, "/out/authservice", out))
	shell.Dir = root
	shell.Env = append(os.Environ(), "TARGETOS=linux", "TARGETARCH=amd64")
	shell.Stderr = os.Stderr
	return out, shell.Run()
})

// program builds the service with the very command of the Dockerfile.
func program(t *testing.T) string {
	t.Helper()
	path, err := build()
	require.NoError(t, err)
	return path
}

func TestProgram(t *testing.T) {
	t.Parallel()
	path := program(t)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(maxProgram))

	file, err := elf.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	libraries, err := file.ImportedLibraries()
	require.NoError(t, err)
	require.Empty(t, libraries)
	require.False(t, slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }), "it is not static")

	said, err := exec.Command(path, "version").Output()
	require.NoError(t, err)
	if git, err := os.Stat(filepath.Join(root, ".git")); err == nil && git.IsDir() { // Go does not look into worktrees
		require.NotContains(t, string(said), "(devel)", "the version is that of the repository")
	}
}

// Secrets that the service takes.
var (
	goodKey      = base64.StdEncoding.EncodeToString([]byte("0123456789 random, for this test"))
	goodPassword = "0f6b2a94c1d8e37f5a60b2c4"
)

// requireSettings holds an environment against internal/config: what the service would
// say of it when it starts.
func requireSettings(t *testing.T, environ []string) config.Config {
	t.Helper()
	c, err := config.Load(environ)
	require.NoError(t, err)
	require.Equal(t, config.Production, c.Env)
	require.False(t, c.Database.Migrate, "migrations have a step of their own")
	require.True(t, strings.HasPrefix(c.PublicURL, "https://"))
	require.NotEmpty(t, c.TrustedProxies, "everybody would come from the proxy's address")
	return c
}

// requirePlaceholdersRefused sees to it that the service does not start with the
// example's secrets, and says which it means.
func requirePlaceholdersRefused(t *testing.T, environ []string, names ...string) {
	t.Helper()
	_, err := config.Load(environ)
	require.Error(t, err)
	var named []string
	for line := range strings.Lines(err.Error()) {
		name, _, _ := strings.Cut(line, ":")
		named = append(named, name)
	}
	require.ElementsMatch(t, names, named)
}

// environment is variables in the form of os.Environ.
func environment(variables map[string]string) (environ []string) {
	for name, value := range variables {
		environ = append(environ, name+"="+value)
	}
	return environ
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(deploy, path))
	require.NoError(t, err)
	return string(content)
}
