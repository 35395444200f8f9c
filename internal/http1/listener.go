package http1

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
)

// NewListener returns l with connections whose requests are looked at. With a TLS
// configuration they are encrypted; those that agree on HTTP/2, which has no such
// ambiguities, are let through. A server must then have UnencryptedHTTP2 among its
// protocols, for it sees what was decrypted.
func NewListener(l net.Listener, secured *tls.Config) net.Listener {
	return listener{l, secured}
}

type listener struct {
	net.Listener
	secured *tls.Config
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.secured == nil {
		return &conn{Conn: nc}, nil
	}
	// The handshake comes with the first read, within the time that a request's
	// headers may take.
	return &conn{Conn: tls.Server(nc, l.secured)}, nil
}

// conn checks what is read from it.
type conn struct {
	net.Conn
	reader  reader
	refused error // what every further read returns
	begun   bool
	http2   bool
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	if c.refused != nil {
		return 0, c.refused
	}
	n, err := c.Conn.Read(b)
	if !c.begun {
		c.begin(err)
	}
	if c.http2 {
		return n, err
	}
	passed, refusal := c.reader.read(b[:n])
	if c.refused = refusal; refusal == nil {
		return n, err
	}
	if passed == 0 {
		err = refusal
	}
	return passed, err
}

// begin is called after the first read, which has made the handshake.
func (c *conn) begin(err error) {
	secured, ok := c.Conn.(*tls.Conn)
	if !ok {
		c.begun = true
		return
	}
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) && plain.Conn != nil {
		_, _ = io.WriteString(plain.Conn, "HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\nThis port speaks HTTPS.\n")
	}
	state := secured.ConnectionState()
	c.begun, c.http2 = state.HandshakeComplete, state.NegotiatedProtocol == "h2"
}

// CloseWrite is for net/http, which gives a client that it refuses the time to
// read why.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
