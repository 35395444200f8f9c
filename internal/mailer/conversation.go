package mailer

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/smtp"
	"os"
	"strconv"
	"strings"
	"time"
)

// conversation is one connection to the server: greeted, encrypted as asked for
// and authenticated. It is a mail.SendCloser of go-mail. When its context ends,
// the connection closes, in whatever step that is.
type conversation struct {
	*smtp.Client
	ctx     context.Context
	conn    net.Conn
	stop    func() bool // no longer watches the context
	secrets *strings.Replacer
	patient time.Duration // how long to wait for the last word
}

// connect gets as far as a mail can be sent. The caller's context has a deadline.
func (m *Mailer) connect(ctx context.Context, secrets *strings.Replacer) (*conversation, error) {
	address := net.JoinHostPort(m.o.Host, strconv.Itoa(m.o.Port))
	conn, err := (&net.Dialer{Timeout: m.o.ConnectTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, failed(ctx, "connect", err, secrets)
	}
	c := &conversation{ctx: ctx, conn: conn, secrets: secrets, patient: m.o.GreetingTimeout}
	c.stop = context.AfterFunc(ctx, func() { conn.Close() })
	if step, err := m.begin(c); err != nil {
		c.abandon()
		return nil, failed(ctx, step, err, secrets)
	}
	return c, nil
}

// begin returns the step that failed.
func (m *Mailer) begin(c *conversation) (step string, err error) {
	// One deadline for the whole greeting: a byte now and then does not extend it.
	deadline := time.Now().Add(m.o.GreetingTimeout)
	if err := c.conn.SetDeadline(deadline); err != nil {
		return "greeting", err
	}
	conn := c.conn
	if m.o.TLS == "tls" {
		encrypted := tls.Client(conn, m.tls)
		if err := encrypted.HandshakeContext(c.ctx); err != nil {
			return "tls", err
		}
		conn = encrypted
	}
	if c.Client, err = smtp.NewClient(conn, m.o.Host); err != nil {
		return "greeting", err
	}
	if !time.Now().Before(deadline) {
		return "greeting", os.ErrDeadlineExceeded // net/textproto takes half a line for a line.
	}
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return "greeting", err
	}
	if err := c.Hello(m.domain); err != nil {
		return "hello", err
	}
	if m.o.TLS == "starttls" {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return "starttls", errors.New("the server does not offer it")
		}
		if err := c.StartTLS(m.tls); err != nil {
			return "starttls", err
		}
	}
	if m.o.Username != "" {
		return "auth", c.authenticate(m.o.Username, m.o.Password)
	}
	return "", nil
}

func (c *conversation) authenticate(username, password string) error {
	ok, offered := c.Extension("AUTH")
	if !ok {
		return errors.New("the server does not offer it")
	}
	a := &auth{username: username, password: password, remote: c.conn.RemoteAddr()}
	for _, mechanism := range []string{"LOGIN", "PLAIN"} { // the last one found is the one preferred
		for _, o := range strings.Fields(strings.ToUpper(offered)) {
			if o == mechanism {
				a.mechanism = mechanism
			}
		}
	}
	if a.mechanism == "" {
		return errors.New("the server offers neither PLAIN nor LOGIN")
	}
	return c.Auth(a)
}

// Send implements mail.Sender of go-mail.
func (c *conversation) Send(from string, to []string, msg io.WriterTo) error {
	if len(to) != 1 {
		return permanent(stepRecipient, errors.New("a mail goes to exactly one recipient"))
	}
	if ok, _ := c.Extension("SMTPUTF8"); !ok && !isASCII(to[0]) {
		return permanent(stepRecipient, errors.New("the address is not in ASCII, and the server does not offer SMTPUTF8"))
	}
	if err := c.Mail(from); err != nil {
		return failed(c.ctx, stepSender, err, c.secrets)
	}
	if err := c.Rcpt(to[0]); err != nil {
		return failed(c.ctx, stepRecipient, err, c.secrets)
	}
	body, err := c.Data()
	if err != nil {
		return failed(c.ctx, stepData, err, c.secrets)
	}
	if _, err := msg.WriteTo(body); err != nil {
		c.abandon() // Closing body would end the mail as if this were all of it.
		return failed(c.ctx, stepData, err, c.secrets)
	}
	if err := body.Close(); err != nil {
		return failed(c.ctx, stepData, err, c.secrets)
	}
	return nil
}

// Close implements mail.SendCloser of go-mail. What has been sent is sent, so
// the server's farewell changes nothing.
func (c *conversation) Close() error {
	if c.conn.SetDeadline(time.Now().Add(c.patient)) == nil {
		_ = c.Quit()
	}
	c.abandon()
	return nil
}

func (c *conversation) abandon() {
	c.stop()
	_ = c.conn.Close()
}

// auth is PLAIN (RFC 4616) or LOGIN, over TLS or within this machine only.
type auth struct {
	mechanism, username, password string
	remote                        net.Addr
	asked                         int
}

// Start implements smtp.Auth.
func (a *auth) Start(server *smtp.ServerInfo) (mechanism string, first []byte, err error) {
	if tcp, ok := a.remote.(*net.TCPAddr); !server.TLS && (!ok || !tcp.IP.IsLoopback()) {
		return "", nil, errors.New("the connection is not encrypted")
	}
	if a.mechanism == "PLAIN" {
		return "PLAIN", a.plain(), nil
	}
	return "LOGIN", nil, nil
}

func (a *auth) plain() []byte { return []byte("\x00" + a.username + "\x00" + a.password) }

// Next implements smtp.Auth. Servers word LOGIN's two questions as they like.
func (a *auth) Next(_ []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	a.asked++
	switch {
	case a.mechanism == "LOGIN" && a.asked == 1:
		return []byte(a.username), nil
	case a.mechanism == "LOGIN" && a.asked == 2:
		return []byte(a.password), nil
	}
	return nil, errors.New("the server asks for more than a name and a password")
}

// spellings are the forms in which a credential travels.
func spellings(username, password string) []string {
	a := auth{username: username, password: password}
	encode := base64.StdEncoding.EncodeToString
	return []string{encode(a.plain()), encode([]byte(password)), password}
}
