package http1

import (
	"bytes"
	"errors"
	"strconv"
)

// Why a connection is refused.
var (
	errLineEnd          = errors.New("http1: a line does not end in CRLF, or holds a control character")
	errLineLength       = errors.New("http1: a line is too long")
	errRequestLine      = errors.New("http1: malformed request line")
	errFolded           = errors.New("http1: folded header field")
	errField            = errors.New("http1: malformed header field")
	errContentLength    = errors.New("http1: ambiguous Content-Length")
	errTransferEncoding = errors.New("http1: ambiguous Transfer-Encoding")
	errChunk            = errors.New("http1: malformed chunk")
)

// maxLine is more than net/http takes; it is what may be held of one line, in bytes.
const maxLine = 64 << 10

// expects is what comes next on a connection.
type expects uint8

const (
	requestLine expects = iota
	headerField
	content   // so many bytes of a body
	chunkSize // a line
	chunkData // so many bytes of a chunk
	chunkEnd  // the empty line behind them
	trailer   // the empty line behind the last chunk; fields would have to be merged, and nobody sends any
)

// reader follows the bytes of a connection from one request to the next.
type reader struct {
	next expects
	line []byte // the beginning of a line whose end has not come yet
	left uint64 // bytes of content or chunkData that are still to come

	// Of the request whose header is being read:
	old     bool // HTTP/1.0
	length  bool // Content-Length, of left bytes
	chunked bool
}

// read looks at what has come. It returns how much of it is well-formed, and what
// is wrong with the rest.
func (r *reader) read(b []byte) (passed int, err error) {
	for passed < len(b) {
		rest := b[passed:]
		if r.next == content || r.next == chunkData {
			passed += r.skip(rest)
			continue
		}
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			r.line = append(r.line, rest...)
			if len(r.line) > maxLine {
				return passed, errLineLength
			}
			return len(b), nil
		}
		line := rest[:end]
		if len(r.line) > 0 {
			r.line = append(r.line, line...)
			line, r.line = r.line, r.line[:0]
		}
		if err := r.take(line); err != nil {
			return passed, err
		}
		passed += end
	}
	return passed, nil
}

// skip passes over what a message says.
func (r *reader) skip(b []byte) int {
	n := min(r.left, uint64(len(b)))
	if r.left -= n; r.left == 0 {
		if r.next == chunkData {
			r.next = chunkEnd
		} else {
			r.next = requestLine
		}
	}
	return int(n) //nolint:gosec // at most len(b)
}

// take takes one line.
func (r *reader) take(line []byte) error {
	line, ended := bytes.CutSuffix(line, []byte("\r\n"))
	if !ended || bytes.ContainsAny(line, "\r\x00") {
		return errLineEnd
	}
	switch {
	case r.next == requestLine:
		return r.begin(line)
	case r.next == chunkSize:
		return r.beginChunk(line)
	case len(line) > 0 && r.next == headerField:
		return r.field(line)
	case len(line) > 0:
		return errChunk
	}
	// An empty line: what it ends is over.
	switch {
	case r.next == chunkEnd || r.next == headerField && r.chunked:
		r.next = chunkSize
	case r.next == headerField && r.left > 0:
		r.next = content
	default:
		r.next = requestLine
	}
	return nil
}

// begin takes a request line. What the target may be net/http knows better.
func (r *reader) begin(line []byte) error {
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, version, _ := bytes.Cut(rest, []byte(" "))
	*r = reader{next: headerField, line: r.line, old: string(version) == "HTTP/1.0"}
	if !isToken(method) || len(target) == 0 || !r.old && string(version) != "HTTP/1.1" {
		return errRequestLine
	}
	return nil
}

// field takes a header field.
func (r *reader) field(line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		return errFolded
	}
	name, value, found := bytes.Cut(line, []byte(":"))
	if !found || !isToken(name) {
		return errField
	}
	switch {
	case is(name, "content-length"):
		n, err := strconv.ParseUint(string(bytes.Trim(value, " \t")), 10, 63)
		if err != nil || r.length || r.chunked {
			return errContentLength
		}
		r.length, r.left = true, n
	case is(name, "transfer-encoding"):
		if !is(bytes.Trim(value, " \t"), "chunked") || r.length || r.chunked || r.old {
			return errTransferEncoding
		}
		r.chunked = true
	}
	return nil
}

// beginChunk takes the line before a chunk. Extensions have no meaning that anybody
// knows, and have been read in too many ways.
func (r *reader) beginChunk(line []byte) error {
	n, err := strconv.ParseUint(string(line), 16, 63)
	if err != nil || len(line) > 16 {
		return errChunk
	}
	r.left, r.next = n, chunkData
	if n == 0 {
		r.next = trailer
	}
	return nil
}

func is(b []byte, lower string) bool {
	return len(b) == len(lower) && bytes.EqualFold(b, []byte(lower))
}

// isToken reports whether b is a token (RFC 9110, section 5.6.2).
func isToken(b []byte) bool {
	for _, c := range b {
		if !tokenChars[c] {
			return false
		}
	}
	return len(b) > 0
}

var tokenChars = func() (is [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		is[c] = true
	}
	return is
}()
