package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// answers is a server that sends text as soon as it has read a request, in
// pieces of the given size, and closes the connection when there is no more.
func answers(t *testing.T, piece int, texts ...string) endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for in := bufio.NewReader(c); len(texts) > 0; texts = texts[1:] {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			for text := texts[0]; text != ""; {
				n := min(piece, len(text))
				if _, err := io.WriteString(c, text[:n]); err != nil {
					return
				}
				text = text[n:]
			}
		}
	}()
	e, err := parseEndpoint("http://" + l.Addr().String())
	require.NoError(t, err)
	return e
}

func dialed(t *testing.T, e endpoint) *conn {
	t.Helper()
	c, err := e.dial(t.Context())
	require.NoError(t, err)
	t.Cleanup(c.close)
	return c
}

func TestConn_Answers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	for name, test := range map[string]struct {
		text   string
		status int
		body   string
	}{
		"Length":      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
		"Empty":       {"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", 200, ""},
		"NoContent":   {"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", 204, ""},
		"NoReason":    {"HTTP/1.1 402\r\nContent-Length: 2\r\n\r\n{}", 402, "{}"},
		"ServerError": {"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}", 503, "{}"},
		"Interim":     {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\n1", 201, "1"},
		"Chunked":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\nA;ext=1\r\n, world!!!\r\n0\r\nTrailer: x\r\n\r\n", 200, "hello, world!!!"},
		"NoChunk":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, ""},
		"Long":        {"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + long, 200, long},
		"LongHead":    {"HTTP/1.1 200 OK\r\nX: " + long[:20_000] + "\r\nContent-Length: 1\r\n\r\n1", 200, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, piece := range []int{1 << 20, 7} {
				// The next answer comes out as well: nothing of this one is left over.
				e := answers(t, piece, test.text, "HTTP/1.1 299 Next\r\nContent-Length: 4\r\n\r\nnext")
				c, request := dialed(t, e), newRequest(e, "GET", "/", "").bytes
				a, err := c.do(request)
				require.NoError(t, err)
				require.Equal(t, test.status, a.status)
				require.Equal(t, test.body, string(a.body))
				a, err = c.do(request)
				require.NoError(t, err)
				require.Equal(t, 299, a.status)
				require.Equal(t, "next", string(a.body))
			}
		})
	}
}

func TestConn_Broken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"Nothing":         {"", "EOF"},
		"InTheHead":       {"HTTP/1.1 200 OK\r\nContent-", "unexpected EOF"},
		"InTheBody":       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "unexpected EOF"},
		"BeforeTheBody":   {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "unexpected EOF"},
		"InAChunk":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "unexpected EOF"},
		"BeforeAChunk":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "unexpected EOF"},
		"BeforeLastChunk": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n", "unexpected EOF"},
		"BadChunk":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", `a chunk of size "x"`},
		"HugeChunk":       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n", `a chunk of size "7fffffff"`},
		"NoLength":        {"HTTP/1.1 200 OK\r\n\r\nhello", "an answer without a length"},
		"NegativeLength":  {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", `an answer of length " -1"`},
		"HugeLength":      {"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", `an answer of length " 99999999"`},
		"HugeHead":        {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2<<20), "an answer of more than"},
		"NotHTTP":         {"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", errHead.Error()},
		"NoStatus":        {"HTTP/1.1 2x0 OK\r\n\r\n", errHead.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := answers(t, 1<<20, test.text)
			_, err := dialed(t, e).do(newRequest(e, "GET", "/", "").bytes)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestConn_ClosedAfterAnAnswer(t *testing.T) {
	t.Parallel()
	for _, head := range []string{"HTTP/1.1 200 OK\r\nConnection: close\r\n", "HTTP/1.0 200 OK\r\n"} {
		e := answers(t, 1<<20, head+"Content-Length: 1\r\n\r\n1")
		c := dialed(t, e)
		a, err := c.do(newRequest(e, "GET", "/", "").bytes)
		require.NoError(t, err)
		require.Equal(t, "1", string(a.body))
		_, err = c.do(newRequest(e, "GET", "/", "").bytes)
		require.ErrorIs(t, err, errClosed)
	}
}

// Whoever waits for an answer that never comes can be called back.
func TestConn_Interrupted(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	e, err := parseEndpoint("http://" + l.Addr().String())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	c, err := e.dial(ctx)
	require.NoError(t, err)
	cancel()
	_, err = c.do(newRequest(e, "GET", "/", "").bytes)
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestParseEndpoint(t *testing.T) {
	t.Parallel()
	for base, address := range map[string]string{
		"http://127.0.0.1:8080": "127.0.0.1:8080", "http://[::1]/": "[::1]:80", "https://auth.example.com": "auth.example.com:443",
	} {
		e, err := parseEndpoint(base)
		require.NoError(t, err)
		require.Equal(t, address, e.address)
		require.Equal(t, strings.HasPrefix(base, "https"), e.tls != nil)
	}
	for _, base := range []string{"", "127.0.0.1:8080", "ftp://x", "http://x/v1", "http://"} {
		_, err := parseEndpoint(base)
		require.Error(t, err, base)
	}
}

// What is sent is what net/http reads, with the blanks filled in.
func TestRequest(t *testing.T) {
	t.Parallel()
	e := endpoint{host: "example.com:8080"}
	r := newRequest(e, "POST", "/v1/users/"+blankID+"/credits/debits", `{"amount":1}`, "Idempotency-Key: "+blankKey)
	first, second := r.clone(), r.clone()
	id := uuid.MustParse("01a20a82-6978-7126-b032-60ccbe778c84")
	first.to(id)
	first.fresh(newRandom())
	second.fresh(newRandom())

	parsed, err := http.ReadRequest(bufio.NewReader(iotest.OneByteReader(strings.NewReader(string(first.bytes)))))
	require.NoError(t, err)
	require.Equal(t, "/v1/users/"+id.String()+"/credits/debits", parsed.URL.Path)
	require.Equal(t, "example.com:8080", parsed.Host)
	require.Equal(t, "application/json", parsed.Header.Get("Content-Type"))
	key, err := uuid.Parse(parsed.Header.Get("Idempotency-Key"))
	require.NoError(t, err)
	require.Equal(t, uuid.Version(4), key.Version())
	body, err := io.ReadAll(parsed.Body)
	require.NoError(t, err)
	require.JSONEq(t, `{"amount":1}`, string(body))
	require.NotEqual(t, string(first.bytes), string(second.bytes))
	require.Contains(t, string(r.bytes), blankKey, "clones are apart")
}
