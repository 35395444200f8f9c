package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"time"
)

// maxAnswer bounds the head of an answer and its body, in bytes.
const maxAnswer = 1 << 20

// conn is a keep-alive HTTP/1.1 connection that does no more than a load
// generator needs, because it shares the processors with what it measures: the
// requests are bytes made before, and of an answer it reads the status, the
// length and the body.
type conn struct {
	net     net.Conn
	buf     []byte // what was read and not used is buf[r:w]
	r, w    int
	body    []byte // of a chunked answer
	closing bool   // the server closes the connection after the last answer
	release func() bool
}

// answer is valid until the next request on its connection.
type answer struct {
	status int
	body   []byte
}

// endpoint is where a service answers.
type endpoint struct {
	address string // host:port
	host    string // of the Host header
	tls     *tls.Config
}

func parseEndpoint(base string) (endpoint, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" && u.Path != "/" {
		return endpoint{}, fmt.Errorf("%q is no URL of the form http://host:port", base)
	}
	e := endpoint{host: u.Host}
	port := u.Port()
	if u.Scheme == "https" {
		e.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	}
	switch {
	case port != "":
	case e.tls != nil:
		port = "443"
	default:
		port = "80"
	}
	e.address = net.JoinHostPort(u.Hostname(), port)
	return e, nil
}

// dial connects. When ctx ends the connection is closed, under whoever waits for
// an answer.
func (e endpoint) dial(ctx context.Context) (*conn, error) {
	soon, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(soon, "tcp", e.address)
	if err != nil {
		return nil, err
	}
	if e.tls != nil {
		t := tls.Client(c, e.tls)
		if err := t.HandshakeContext(soon); err != nil {
			_ = c.Close()
			return nil, err
		}
		c = t
	}
	return &conn{net: c, buf: make([]byte, 8<<10), release: context.AfterFunc(ctx, func() { _ = c.Close() })}, nil
}

// errClosed is a connection that the server closed between two answers.
var errClosed = errors.New("the server closed the connection")

// do sends a request and reads the answer. After an error the connection is of
// no use any more.
func (c *conn) do(request []byte) (answer, error) {
	if c.closing {
		return answer{}, errClosed
	}
	if _, err := c.net.Write(request); err != nil {
		return answer{}, err
	}
	for {
		head, err := c.head()
		if err != nil {
			return answer{}, err
		}
		h, err := parseHead(head)
		if err != nil {
			return answer{}, err
		}
		if h.status < 200 {
			continue // an interim answer
		}
		c.closing = h.closing
		a := answer{status: h.status}
		switch {
		case h.status == 204 || h.status == 304:
		case h.chunked:
			a.body, err = c.chunks()
		case h.length >= 0:
			a.body, err = c.next(h.length)
		default:
			err = errors.New("an answer without a length")
		}
		return a, unexpected(err)
	}
}

// head returns the next answer's head with the empty line that ends it.
func (c *conn) head() ([]byte, error) {
	for seen := 0; ; {
		if i := bytes.Index(c.buf[c.r+seen:c.w], []byte("\r\n\r\n")); i >= 0 {
			return c.next(seen + i + 4)
		}
		seen = max(0, c.w-c.r-3)
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// next returns the next n bytes. They are valid until something is read again.
func (c *conn) next(n int) ([]byte, error) {
	for c.w-c.r < n {
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
	b := c.buf[c.r : c.r+n]
	c.r += n
	return b, nil
}

// fill reads more.
func (c *conn) fill() error {
	switch {
	case c.r == c.w:
		c.r, c.w = 0, 0
	case c.w < len(c.buf):
	case c.r > 0:
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	case len(c.buf) >= maxAnswer:
		return fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	default:
		c.buf = append(c.buf, make([]byte, len(c.buf))...)
	}
	n, err := c.net.Read(c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	if errors.Is(err, io.EOF) && c.w > c.r {
		return io.ErrUnexpectedEOF
	}
	return err
}

// chunks reads a body that comes in chunks (RFC 9112, section 7.1).
func (c *conn) chunks() ([]byte, error) {
	c.body = c.body[:0]
	for {
		line, err := c.line()
		if err != nil {
			return nil, err
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 31)
		if err != nil || len(c.body)+int(n) > maxAnswer {
			return nil, fmt.Errorf("a chunk of size %q", line)
		}
		if n == 0 {
			break
		}
		data, err := c.next(int(n) + 2)
		if err != nil {
			return nil, err
		}
		c.body = append(c.body, data[:n]...)
	}
	for { // trailers
		line, err := c.line()
		if err != nil || len(line) == 0 {
			return c.body, err
		}
	}
}

// line returns the next line without its end.
func (c *conn) line() ([]byte, error) {
	for {
		if i := bytes.Index(c.buf[c.r:c.w], []byte("\r\n")); i >= 0 {
			line, err := c.next(i + 2)
			return line[:i], err
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// unexpected is for the end of a connection in the middle of an answer.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// head is what matters of an answer's head.
type head struct {
	status  int
	length  int // -1 for none
	chunked bool
	closing bool
}

var errHead = errors.New("what was answered is not HTTP/1.1")

func parseHead(b []byte) (head, error) {
	h := head{length: -1}
	first, rest, _ := bytes.Cut(b, []byte("\r\n"))
	if len(first) < len("HTTP/1.1 200") || !bytes.HasPrefix(first, []byte("HTTP/1.")) || first[8] != ' ' {
		return h, errHead
	}
	for _, digit := range first[9:12] {
		if digit < '0' || digit > '9' {
			return h, errHead
		}
		h.status = h.status*10 + int(digit-'0')
	}
	h.closing = first[7] == '0'
	for {
		line, more, _ := bytes.Cut(rest, []byte("\r\n"))
		if len(line) == 0 {
			return h, nil
		}
		rest = more
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch len(name) { // most names are not worth a closer look
		case len("Content-Length"):
			if bytes.EqualFold(name, []byte("Content-Length")) {
				n, err := strconv.Atoi(string(bytes.TrimSpace(value)))
				if err != nil || n < 0 || n > maxAnswer {
					return h, fmt.Errorf("an answer of length %q", value)
				}
				h.length = n
			}
		case len("Transfer-Encoding"):
			if bytes.EqualFold(name, []byte("Transfer-Encoding")) {
				h.chunked = bytes.EqualFold(bytes.TrimSpace(value), []byte("chunked"))
			}
		case len("Connection"):
			if bytes.EqualFold(name, []byte("Connection")) {
				h.closing = bytes.EqualFold(bytes.TrimSpace(value), []byte("close"))
			}
		}
	}
}

func (c *conn) close() {
	c.release()
	_ = c.net.Close()
}
