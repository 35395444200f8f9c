package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	s := startService(t)
	user := s.user(t)
	keys := func(args ...string) string {
		var out, problems bytes.Buffer
		code := run(t.Context(), append([]string{"keys"}, args...), env{stdin: strings.NewReader(""), stdout: &out, stderr: &problems, environ: s.environ})
		require.Zero(t, code, problems.String())
		return out.String()
	}
	states := func() (all []string) {
		for _, line := range strings.Split(strings.TrimSpace(keys("list")), "\n")[1:] {
			all = append(all, strings.Fields(line)[2])
		}
		return all
	}
	require.Equal(t, []string{"active"}, states())
	require.Contains(t, keys("rotate"), "is published and will sign in about 10m30s")
	require.Equal(t, []string{"active", "next"}, states())
	require.Contains(t, keys("rotate"), "under way already")
	require.Contains(t, keys("rotate", "--now"), "signs now; 2 other keys are void")
	require.Equal(t, []string{"active"}, states())

	// A service that starts now knows the new key only; nobody is logged out.
	replica := startServiceOn(t, s.db, s.environ...)
	me, err := replica.withSession(t, user.session).GetMeWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, 401, me.StatusCode())
	refreshed, err := replica.anonymous(t).RefreshSessionWithResponse(t.Context(), authclient.RefreshRequest{RefreshToken: user.session.RefreshToken})
	require.NoError(t, err)
	require.Equal(t, 200, refreshed.StatusCode())
	require.Zero(t, replica.withSession(t, *refreshed.JSON200).balance(t).Balance)
	events := s.everything(t)
	require.Contains(t, events, "signing_key_rotated")
}
