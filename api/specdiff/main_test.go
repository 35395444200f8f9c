//go:build git

// These tests need git: go test -tags git ./api/specdiff
package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository is a git repository of its own, and how to commit to it.
func repository(t *testing.T) (git func(...string) (string, error), commit func(content string) string) {
	t.Helper()
	dir := t.TempDir()
	git = func(args ...string) (string, error) {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	run := func(args ...string) string {
		out, err := git(args...)
		require.NoError(t, err, args)
		return out
	}
	run("init", "-q", "-b", "main")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "api"), 0o755))
	return git, func(content string) string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, contract), []byte(content), 0o600))
		run("add", "-A")
		run("commit", "-q", "-m", "x")
		return run("rev-parse", "HEAD")
	}
}

func commitsOf(t *testing.T, git func(...string) (string, error)) []string {
	t.Helper()
	all, err := bases(git)
	require.NoError(t, err)
	var commits []string
	for _, b := range all {
		commits = append(commits, b.commit)
	}
	return commits
}

func TestBases(t *testing.T) {
	t.Parallel()
	git, commit := repository(t)
	_, err := bases(git)
	require.Error(t, err, "nothing to compare with is no success")

	first := commit("1")
	require.Equal(t, []string{first}, commitsOf(t, git))
	second := commit("2")
	commit("3")
	require.Equal(t, []string{first, second}, commitsOf(t, git), "on main: the first, and the one before")

	third, err := git("rev-parse", "HEAD")
	require.NoError(t, err)
	_, err = git("switch", "-q", "-c", "topic")
	require.NoError(t, err)
	commit("4")
	commit("5")
	require.Equal(t, []string{first, third}, commitsOf(t, git), "on a branch: where it left main")

	_, err = git("tag", "v1.2.0", second)
	require.NoError(t, err)
	_, err = git("tag", "v9", "HEAD")
	require.NoError(t, err)
	require.Equal(t, []string{"v9", third}, commitsOf(t, git), "once there is a release, the newest")
}

func TestDeclared(t *testing.T) {
	t.Parallel()
	const log = "## [Unreleased]\n- **Breaking:** `GET /a` and `POST /b/{id}` are gone.\n- `GET /c` is new.\n## [1.0.0]\n- **Breaking:** `GET /d` is gone.\n"
	require.Equal(t, map[string]bool{"GET /a": true, "POST /b/{id}": true}, declared(log, "1.0.0"))
	require.Len(t, declared(log, ""), 3)
	breaks := []change{{"x", certain, "GET", "/a"}, {"y", certain, "GET", "/c"}}
	require.Equal(t, []string{"  GET /c: y"}, undeclaredOf(breaks, declared(log, "1.0.0")))
}
