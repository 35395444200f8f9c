//go:build previous

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
	"github.com/authservice/authservice/internal/pgtest"
)

// While a release is rolled out, the one before it runs beside it, on the new
// schema. Both are started here, on one database, and do each other's work.
//
// It has a build tag because it needs the history of the repository, and a minute
// to build a program of the past:
//
//	go test -tags previous ./cmd/authservice -run PreviousRelease -v
func TestPreviousRelease(t *testing.T) {
	t.Parallel()
	revision := previousRelease(t)
	t.Log("the release before is", revision)
	program := build(t, revision)
	db := pgtest.New(t)
	before, now := startProgram(t, program, db.URL), startProcess(t, db)
	require.Equal(t, 200, statusOf(t, before, "/health/ready"))
	require.Equal(t, 200, statusOf(t, now.service, "/health/ready"))

	for name, pair := range map[string][2]*service{"before, then now": {before, now.service}, "now, then before": {now.service, before}} {
		one, other := pair[0], pair[1]
		// People of one are people of the other: sessions, refreshes, changes.
		user := one.user(t)
		session := user.session
		refreshed, err := other.anonymous(t).RefreshSessionWithResponse(t.Context(), authclient.RefreshRequest{RefreshToken: session.RefreshToken})
		require.NoError(t, err, name)
		require.NotNil(t, refreshed.JSON200, name)
		onOne, onOther := one.withSession(t, *refreshed.JSON200), other.withSession(t, *refreshed.JSON200)
		changed := "Ada"
		updated, err := onOther.UpdateMeWithResponse(t.Context(), authclient.UpdateMeRequest{Name: &changed})
		require.NoError(t, err, name)
		require.NotNil(t, updated.JSON200, name)

		// Credits: what one has written the other goes on with, and knows again.
		admin := one.admin(t)
		for range 2 {
			admin.grant(t, user.id(), 50)
			other.withSession(t, admin.session).grant(t, user.id(), 50)
		}
		for _, request := range []authclient.DebitRequest{{Amount: 30}, {Amount: 1000}} {
			key := uuid.NewString()
			first, again := onOne.debit(t, key, request), onOther.debit(t, key, request)
			require.Equal(t, first.StatusCode(), again.StatusCode(), name)
			require.Equal(t, "true", again.HTTPResponse.Header.Get("Idempotent-Replayed"), name)
			if first.JSON201 != nil {
				require.Equal(t, first.JSON201.ID, again.JSON201.ID, name)
			}
		}
		onOther.debit(t, uuid.NewString(), authclient.DebitRequest{Amount: 70})
		require.EqualValues(t, 100, onOne.balance(t).Balance, name)
		require.Equal(t, chainOf(onOne.history(t)), chainOf(onOther.history(t)), name)

		// Keys, and the end of a session.
		made, err := admin.CreateAPIKeyWithResponse(t.Context(), authclient.CreateAPIKeyRequest{Name: "x", Scopes: []authclient.Scope{authclient.ScopeCreditsRead}})
		require.NoError(t, err, name)
		backend := &caller{service: other, key: made.JSON201.Key}
		read, _ := backend.send(t, http.MethodGet, "/v1/users/"+user.id().String()+"/credits", "")
		require.Equal(t, 200, read.StatusCode, name)
		out, err := onOther.LogOutWithResponse(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, 204, out.StatusCode(), name)
		gone, err := onOne.GetMeWithResponse(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, 401, gone.StatusCode(), name)
	}
}

// chainOf is what transactions say in every version.
func chainOf(history []authclient.Transaction) (chain []string) {
	for _, x := range history {
		chain = append(chain, fmt.Sprint(x.Sequence, x.Type, x.Amount, x.BalanceAfter, x.Hash))
	}
	return chain
}

// previousRelease is the newest tag of a version before this one. As long as there
// is none, it is the program as it was when the newest migration had not been written.
func previousRelease(t *testing.T) string {
	t.Helper()
	if tag, err := git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^"); err == nil {
		return tag
	}
	uncommitted, err := git("status", "--porcelain", "--", ":/schema/migrations")
	require.NoError(t, err)
	if uncommitted != "" {
		return "HEAD"
	}
	added, err := git("log", "-1", "--diff-filter=A", "--format=%H", "--", ":/schema/migrations")
	require.NoError(t, err)
	parent, err := git("rev-parse", "--verify", "--quiet", added+"^")
	if err != nil {
		t.Skip("NOT TESTED: the history here (a shallow clone?) has nothing before the newest migration")
	}
	return parent
}

func git(args ...string) (string, error) {
	out, err := exec.Command("git", args...).Output()
	return strings.TrimSpace(string(out)), err
}

// build builds the program of a revision, without touching the working tree.
func build(t *testing.T, revision string) (program string) {
	t.Helper()
	dir := t.TempDir()
	top, err := git("rev-parse", "--show-toplevel")
	require.NoError(t, err)
	archive := exec.Command("git", "-C", top, "archive", revision)
	unpack := exec.Command("tar", "-x", "-C", dir)
	var problems bytes.Buffer
	archive.Stderr, unpack.Stderr = &problems, &problems
	unpack.Stdin, err = archive.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, unpack.Start())
	require.NoError(t, archive.Run(), problems.String())
	require.NoError(t, unpack.Wait(), problems.String())

	program = filepath.Join(t.TempDir(), "authservice")
	compile := exec.Command("go", "build", "-o", program, "./cmd/authservice")
	compile.Dir = dir
	out, err := compile.CombinedOutput()
	require.NoError(t, err, string(out))
	return program
}

// startProgram runs a program that may not know the settings of today.
func startProgram(t *testing.T, program, databaseURL string) *service {
	t.Helper()
	s := &service{logs: &lockedBuffer{}, lenient: true, environ: []string{
		"DATABASE_URL=" + databaseURL, processKey,
		"AUTH_ENV=staging", "AUTH_HTTP_ADDR=127.0.0.1:0", "AUTH_OPS_ADDR=127.0.0.1:0", "AUTH_BCRYPT_COST=4", "AUTH_RATE_LIMIT_ENABLED=false",
	}}
	cmd := exec.Command(program, "serve")
	cmd.Env, cmd.Dir, cmd.Stderr = slices.Concat(cleanEnviron, s.environ), t.TempDir(), os.Stderr
	stdout, writer := io.Pipe()
	cmd.Stdout = writer
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = writer.Close() })
	ready := make(chan struct{})
	go s.follow(stdout, ready)
	<-ready
	return s
}

func statusOf(t *testing.T, s *service, path string) int {
	t.Helper()
	response, err := http.Get(s.url + path)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}
