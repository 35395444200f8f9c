package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// receiveLines collects the lines that are sent to a listener, until the test ends.
func receiveLines(t *testing.T, l net.Listener) *lockedBuffer {
	t.Helper()
	got := &lockedBuffer{}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				lines := bufio.NewReader(conn)
				for {
					line, err := lines.ReadString('\n')
					if err != nil {
						return
					}
					_, _ = got.Write([]byte(line))
				}
			}()
		}
	}()
	return got
}

// shippedLines are the lines that are for the receiver: those with a number.
func shippedLines(t *testing.T, log string) map[float64]string {
	t.Helper()
	lines := map[float64]string{}
	for line := range strings.Lines(log) {
		var content map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &content), line)
		if number, ok := content["event.sequence"].(float64); ok {
			lines[number] = line
		}
	}
	return lines
}

// What a service logs, its receiver gets, to the last line.
func TestLogstash(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"TCP": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			settings := []string{"AUTH_LOGSTASH_ADDR=" + listener.Addr().String(), "AUTH_LOG_LEVEL=debug"}
			if secure {
				config, files := mutualTLS(t)
				listener = tls.NewListener(listener, config)
				settings = append(settings, "AUTH_LOGSTASH_TLS=true")
				settings = append(settings, files...)
			}
			got := receiveLines(t, listener)
			s := startService(t, settings...)
			user := s.user(t)
			for range 50 {
				_ = user.balance(t)
			}
			require.Contains(t, s.scrape(t), "authservice_logstash_lines_dropped_total 0\n")
			require.Zero(t, s.stop())
			want := shippedLines(t, s.logs.String())
			require.Greater(t, len(want), 50)
			require.Equal(t, want, shippedLines(t, got.String()))
		})
	}
}

// scrape reads the metrics.
func (s *service) scrape(t *testing.T) string {
	t.Helper()
	response, err := http.Get(s.opsURL + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	var b strings.Builder
	_, err = bufio.NewReader(response.Body).WriteTo(&b)
	require.NoError(t, err)
	require.Equal(t, 200, response.StatusCode, b.String())
	return b.String()
}

// mutualTLS returns a server that wants to see a certificate, and the settings
// of a client that trusts the server's and shows it as its own.
func mutualTLS(t *testing.T) (server *tls.Config, settings []string) {
	t.Helper()
	source := httptest.NewTLSServer(http.NotFoundHandler()) // has one for 127.0.0.1
	source.Close()
	own := source.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	cert := write("cert.pem", "CERTIFICATE", own.Certificate[0])
	return &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAnyClientCert}, []string{
		"AUTH_LOGSTASH_CA_FILE=" + cert, "AUTH_LOGSTASH_CERT_FILE=" + cert, "AUTH_LOGSTASH_KEY_FILE=" + write("key.pem", "PRIVATE KEY", key),
	}
}

func TestLogstash_BadSettings(t *testing.T) {
	t.Parallel()
	_, files := mutualTLS(t)
	ca, cert, key := files[0], files[1], files[2]
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	good := []string{
		"DATABASE_URL=postgres://x/y", "AUTH_ENCRYPTION_KEY=6OOUVzmyc5NXWmvzkyJ6jCl6q9mZ0fCqTn2wZ2vZ0hE=",
		"AUTH_LOGSTASH_ADDR=127.0.0.1:1", "AUTH_LOGSTASH_TLS=true", ca, cert, key,
	}
	for bad, name := range map[string]string{
		"AUTH_LOGSTASH_CA_FILE=/nowhere":     "AUTH_LOGSTASH_CA_FILE",
		"AUTH_LOGSTASH_CA_FILE=" + empty:     "AUTH_LOGSTASH_CA_FILE",
		"AUTH_LOGSTASH_CERT_FILE=" + empty:   "AUTH_LOGSTASH_CERT_FILE",
		"AUTH_LOGSTASH_KEY_FILE=" + empty:    "AUTH_LOGSTASH_CERT_FILE",
		"AUTH_LOG_LEVEL=info,nobody=debug":   "AUTH_LOG_LEVEL",
		"AUTH_LOGSTASH_ADDR=127.0.0.1:66666": "AUTH_LOGSTASH_ADDR",
	} {
		t.Run(bad, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := runOnce(t, []string{"serve"}, append(good, bad)...)
			require.Equal(t, 1, code)
			require.Contains(t, stderr, name+": ")
		})
	}
}
