package main

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// askAt runs `authservice health` for a service that listens at address.
func askAt(t *testing.T, address string, settings []string, flags ...string) (code int, complaint string) {
	t.Helper()
	var stderr lockedBuffer
	code = run(t.Context(), append([]string{"health"}, flags...), env{
		stdout: &stderr, stderr: &stderr, environ: append([]string{"AUTH_HTTP_ADDR=" + address}, settings...),
	})
	return code, stderr.String()
}

func TestHealth(t *testing.T) {
	t.Parallel()
	files := newCertificate(t).write(t)
	for name, settings := range map[string][]string{
		"HTTP":  nil,
		"HTTPS": {"AUTH_HTTP_TLS_CERT_FILE=" + files[0], "AUTH_HTTP_TLS_KEY_FILE=" + files[1]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startService(t, settings...)
			at, err := url.Parse(s.url)
			require.NoError(t, err)
			for _, address := range []string{at.Host, ":" + at.Port(), "0.0.0.0:" + at.Port()} {
				code, complaint := askAt(t, address, settings)
				require.Zero(t, code, "%s: %s", address, complaint)
			}

			_, err = s.db.Owner(t).Exec(t.Context(), "DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)")
			require.NoError(t, err)
			var complaint string
			require.Eventually(t, func() bool {
				var code int
				code, complaint = askAt(t, at.Host, settings)
				return code == 1
			}, eventually, aMoment)
			require.Contains(t, complaint, "/health/ready says 503")
			require.Contains(t, complaint, `"migrations":"failed"`)
			code, complaint := askAt(t, at.Host, settings, "--live")
			require.Zero(t, code, complaint)

			require.Zero(t, s.stop())
			code, complaint = askAt(t, at.Host, settings, "--live")
			require.Equal(t, 1, code)
			require.Contains(t, complaint, "connection refused")
		})
	}
}

func TestHealth_WrongSettings(t *testing.T) {
	t.Parallel()
	for address, settings := range map[string][]string{"8080": nil, ":1": {"AUTH_HTTP_IDLE_TIMEOUT=hunter2"}} {
		code, complaint := askAt(t, address, settings)
		require.Equal(t, 1, code)
		require.True(t, strings.HasPrefix(complaint, "authservice: AUTH_HTTP_"), complaint)
		require.NotContains(t, complaint, "hunter2")
	}
}
