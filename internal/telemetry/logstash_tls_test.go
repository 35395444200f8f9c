package telemetry

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &authority{cert, key, pool}
}

func (a *authority) issue(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestLogstash_TLS(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t), newAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{ca.issue(t)}, ClientCAs: ca.pool, ClientAuth: tls.RequireAndVerifyClientCert}
	good := func() *tls.Config {
		return &tls.Config{ServerName: "127.0.0.1", RootCAs: ca.pool, Certificates: []tls.Certificate{ca.issue(t)}}
	}
	for name, test := range map[string]struct {
		change  func(*tls.Config)
		arrives bool
	}{
		"Good":                {func(*tls.Config) {}, true},
		"UnknownServer":       {func(c *tls.Config) { c.RootCAs = stranger.pool }, false},
		"WrongName":           {func(c *tls.Config) { c.ServerName = "logs.example.com" }, false},
		"NoClientCertificate": {func(c *tls.Config) { c.Certificates = nil }, false},
		"StrangeCertificate":  {func(c *tls.Config) { c.Certificates = []tls.Certificate{stranger.issue(t)} }, false},
	} {
		for versionName, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
			t.Run(name+versionName, func(t *testing.T) {
				t.Parallel()
				config := good()
				config.MinVersion, config.MaxVersion = version, version
				test.change(config)
				r := &receiver{t: t, addr: "127.0.0.1:0", behave: readsAll, conns: map[net.Conn]bool{}, got: map[int]int{}, tls: server}
				r.listen()
				t.Cleanup(r.stop)
				l := startShipper(t, LogstashOptions{Addr: r.addr, TLS: config}, quick)
				write(t, l, 0, 100)
				if test.arrives {
					require.True(t, closeIn(t, l, eventually))
					require.Equal(t, 100, r.lines())
					require.Equal(t, 100, r.total)
					require.EqualValues(t, 100, l.Stats().Delivered)
					return
				}
				require.Eventually(t, func() bool { return l.Stats().Failures > 1 }, eventually, aMoment)
				closeIn(t, l, 0)
				require.EqualValues(t, 100, l.Stats().Dropped)
				require.Zero(t, r.lines())
			})
		}
	}
}
