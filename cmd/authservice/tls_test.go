package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/faults"
	"github.com/authservice/authservice/internal/pgtest"
)

// testCertificate is one for 127.0.0.1 that vouches for itself.
type testCertificate struct{ cert, key []byte }

func newCertificate(t *testing.T) testCertificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return testCertificate{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
}

// write puts certificate and key into files.
func (c testCertificate) write(t *testing.T) (files [2]string) {
	t.Helper()
	dir := t.TempDir()
	files = [2]string{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
	c.replace(t, files)
	return files
}

// replace puts them into files that are there, each at once.
func (c testCertificate) replace(t *testing.T, files [2]string) {
	t.Helper()
	for i, content := range [2][]byte{c.cert, c.key} {
		require.NoError(t, os.WriteFile(files[i]+".new", content, 0o600))
		require.NoError(t, os.Rename(files[i]+".new", files[i]))
	}
}

// client trusts the certificate and nothing else.
func (c testCertificate) client(t *testing.T, http2 bool) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(c.cert))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: http2}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: eventually}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	first := newCertificate(t)
	files := first.write(t)
	s := startService(t, "AUTH_HTTP_TLS_CERT_FILE="+files[0], "AUTH_HTTP_TLS_KEY_FILE="+files[1])
	require.True(t, strings.HasPrefix(s.url, "https://"))

	for proto, client := range map[string]*http.Client{"HTTP/2.0": first.client(t, true), "HTTP/1.1": first.client(t, false)} {
		response, err := client.Post(s.url+"/v1/auth/login", "application/json", strings.NewReader(`{"email":"a@example.com","password":"x"}`))
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, 401, response.StatusCode)
		require.Equal(t, proto, response.Proto)
	}

	t.Run("OldVersions", func(t *testing.T) {
		address := strings.TrimPrefix(s.url, "https://")
		_, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
		require.ErrorContains(t, err, "protocol version")
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	})
	t.Run("PlainHTTP", func(t *testing.T) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "https://"))
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		answer, _ := io.ReadAll(conn)
		require.Contains(t, string(answer), "400 Bad Request")
		require.Contains(t, string(answer), "HTTPS")
	})
	t.Run("Renewal", func(t *testing.T) {
		second := newCertificate(t)
		works := func(c testCertificate) bool {
			response, err := c.client(t, true).Get(s.url + "/health/live")
			if err == nil {
				_ = response.Body.Close()
			}
			return err == nil
		}
		require.False(t, works(second))
		// What cannot be used changes nothing.
		testCertificate{cert: second.cert, key: []byte("no key")}.replace(t, files)
		require.Eventually(t, func() bool {
			return works(first) && strings.Contains(s.logs.String(), "the new certificate cannot be used")
		}, eventually, aMoment)
		second.replace(t, files)
		require.Eventually(t, func() bool { return works(second) }, eventually, aMoment)
		require.False(t, works(first))
		require.NotContains(t, s.logs.String(), "PRIVATE KEY")
	})
	require.Zero(t, s.stop())
}

func TestTLS_RefusesFiles(t *testing.T) {
	t.Parallel()
	files, others := newCertificate(t).write(t), newCertificate(t).write(t)
	for name, pair := range map[string][2]string{
		"Missing":    {files[0], files[1] + ".missing"},
		"NotAPair":   {files[0], others[1]},
		"TheWrong":   {files[1], files[0]},
		"ADirectory": {filepath.Dir(files[0]), files[1]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := runOnce(t, []string{"serve"}, "DATABASE_URL=postgres://x/y", processKey, "AUTH_ENV=staging",
				"AUTH_HTTP_ADDR=127.0.0.1:0", "AUTH_OPS_ADDR=127.0.0.1:0", "AUTH_HTTP_TLS_CERT_FILE="+pair[0], "AUTH_HTTP_TLS_KEY_FILE="+pair[1])
			require.Equal(t, 1, code)
			require.Contains(t, stderr, "AUTH_HTTP_TLS_CERT_FILE, AUTH_HTTP_TLS_KEY_FILE: ")
		})
	}
}

// The database's URL says whether the connection is encrypted, and whom it trusts;
// commands and the service heed it alike.
func TestTLS_Database(t *testing.T) {
	t.Parallel()
	own := newCertificate(t)
	files, strangers := own.write(t), newCertificate(t).write(t)
	pg := faults.StartPostgres(t)
	at := func(parameters string) string {
		return strings.Replace(pg.URL(pg.Addr()), "sslmode=disable", parameters, 1)
	}
	requireRefused := func(t *testing.T, url string) {
		t.Helper()
		for _, command := range [][]string{{"serve"}, {"migrate", "status"}} {
			code, _, stderr := runOnce(t, command, "DATABASE_URL="+url, processKey, "AUTH_ENV=staging", "AUTH_HTTP_ADDR=127.0.0.1:0", "AUTH_OPS_ADDR=127.0.0.1:0")
			require.Equal(t, 1, code, command)
			require.Regexp(t, "(?i)tls|certificate", stderr)
		}
	}
	verified := at("sslmode=verify-full&sslrootcert=" + files[0])
	requireRefused(t, verified)
	pg.Encrypt(own.cert, own.key)
	requireRefused(t, at("sslmode=verify-full&sslrootcert="+strangers[0]))
	requireRefused(t, strings.Replace(verified, "127.0.0.1", "localhost", 1))

	s := startServiceOn(t, &pgtest.Database{URL: verified}, processKey)
	require.NotEmpty(t, s.user(t).session.AccessToken)
	var plain int
	require.NoError(t, pg.Superuser().QueryRow(t.Context(),
		"SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'authservice' AND NOT ssl").Scan(&plain))
	require.Zero(t, plain)

	code, status, stderr := runOnce(t, []string{"migrate", "status"}, "DATABASE_URL="+verified)
	require.Zero(t, code, stderr)
	require.Contains(t, status, "[x] ")
	require.Zero(t, s.stop())
}
