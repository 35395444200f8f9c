package mailer

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, time.March, 4, 12, 0, 0, 0, time.UTC)

// options are for a server at address, in the clear.
func options(t *testing.T, address string) Options {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	number, err := net.LookupPort("tcp", port)
	require.NoError(t, err)
	return Options{
		Host: host, Port: number, TLS: "none", From: "Example <mail@example.com>",
		ConnectTimeout: 5 * time.Second, GreetingTimeout: 5 * time.Second, Timeout: 10 * time.Second,
		Design: Design{ProductName: "Example"},
		Now:    func() time.Time { return noon },
	}
}

func newMailer(t *testing.T, o Options, change ...func(*Options)) *Mailer {
	t.Helper()
	for _, f := range change {
		f(&o)
	}
	m, err := New(o)
	require.NoError(t, err)
	return m
}

// server is a real SMTP server that keeps what it is given.
type server struct {
	addr   string
	caFile string

	mechanisms []string // of AUTH; nil: not offered

	mu        sync.Mutex
	delivered []delivery
	logins    []string
}

type delivery struct {
	from      string
	to        []string
	raw       string
	encrypted bool
	utf8      bool
	hello     string
}

const (
	username = "mailer"
	password = `pässword "with" spaces`
)

func startServer(t *testing.T, mode string, change ...func(*server, *smtp.Server)) *server {
	t.Helper()
	s := &server{}
	cert, ca := certificate(t, "127.0.0.1")
	s.caFile = ca
	backend := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{s: s, c: c}, nil
	}))
	backend.Domain = "test"
	backend.ErrorLog = log.New(io.Discard, "", 0)
	if mode != "none" {
		backend.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	for _, f := range change {
		f(s, backend)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = l.Addr().String()
	if mode == "tls" {
		l = tls.NewListener(l, backend.TLSConfig)
	}
	go backend.Serve(l)
	t.Cleanup(func() { backend.Close() })
	return s
}

func (s *server) mails() []delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]delivery(nil), s.delivered...)
}

func (s *server) loggedIn() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.logins...)
}

// session is a mail on its way in.
type session struct {
	s *server
	c *smtp.Conn
	d delivery
}

func (s *session) Reset()        { s.d = delivery{} }
func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, o *smtp.MailOptions) error {
	s.d.from, s.d.utf8 = from, o.UTF8
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.d.to = append(s.d.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.d.raw, s.d.hello = string(raw), s.c.Hostname()
	_, s.d.encrypted = s.c.TLSConnectionState()
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	s.s.delivered = append(s.s.delivered, s.d)
	return nil
}

func (s *session) AuthMechanisms() []string { return s.s.mechanisms }

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	check := func(u, p string) error {
		if u != username || p != password {
			return smtp.ErrAuthFailed
		}
		s.s.mu.Lock()
		defer s.s.mu.Unlock()
		s.s.logins = append(s.s.logins, mechanism)
		return nil
	}
	if mechanism == "LOGIN" {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, u, p string) error { return check(u, p) }), nil
}

// loginServer asks in words of its own.
type loginServer struct {
	check func(u, p string) error
	heard []string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response != nil {
		l.heard = append(l.heard, string(response))
	}
	switch len(l.heard) {
	case 0:
		return []byte("And you are?"), false, nil
	case 1:
		return []byte("Prove it!"), false, nil
	}
	return nil, true, l.check(l.heard[0], l.heard[1])
}

// certificate is for a host, and the file that makes it trusted.
func certificate(t *testing.T, host string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// nasty is a server that is no server: talk has each connection to itself, which
// closes when it returns. It returns the address and what it was told, line by line.
func nasty(t *testing.T, talk func(c *caller)) (addr string, heard func() []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var (
		mu    sync.Mutex
		lines []string
		busy  sync.WaitGroup
		over  = make(chan struct{})
	)
	busy.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			busy.Go(func() {
				defer conn.Close()
				talk(&caller{Conn: conn, r: bufio.NewReader(conn), over: over, heard: func(line string) {
					mu.Lock()
					defer mu.Unlock()
					lines = append(lines, line)
				}})
			})
		}
	})
	t.Cleanup(func() {
		close(over)
		l.Close()
		busy.Wait()
	})
	return l.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), lines...)
	}
}

type caller struct {
	net.Conn
	r     *bufio.Reader
	over  chan struct{} // closes when the test ends
	heard func(string)
}

// say writes a reply and hear waits for a command; neither minds that the other
// side has gone.
func (c *caller) say(line string) { _, _ = io.WriteString(c, line+"\r\n") }

func (c *caller) hear() string {
	line, _ := c.r.ReadString('\n')
	line = strings.TrimSpace(line)
	c.heard(line)
	return line
}

// listen says nothing until the client hangs up or the test is over.
func (c *caller) listen() {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, c.r)
	}()
	select {
	case <-gone:
	case <-c.over:
	}
}

// until answers "250 ok" up to the command that begins with what, and that with reply.
func (c *caller) until(what, reply string) {
	c.say("220 test")
	for {
		heard := c.hear()
		switch {
		case heard == "":
			return
		case strings.HasPrefix(heard, what):
			c.say(reply)
			return
		case heard == "DATA":
			c.say("354 go on")
			c.body()
			if what == "." {
				c.say(reply)
				return
			}
			c.say("250 ok")
		default:
			c.say("250 ok")
		}
	}
}

// body hears a mail to its end, or to where the client hangs up.
func (c *caller) body() {
	for c.hear() != "." {
		if _, err := c.r.Peek(1); err != nil {
			return
		}
	}
}
