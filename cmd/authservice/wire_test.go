package main

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgtest"
)

// dial opens a connection to the service, to say on it what no client would.
func (s *service) dial(t *testing.T) net.Conn {
	t.Helper()
	scheme, address, _ := strings.Cut(s.url, "://")
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	if scheme == "https" {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	require.NoError(t, conn.SetDeadline(time.Now().Add(eventually)))
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// say writes and returns everything that is answered until the service hangs up.
func (s *service) say(t *testing.T, request string) (answer string) {
	t.Helper()
	conn := s.dial(t)
	_, err := io.WriteString(conn, request)
	require.NoError(t, err)
	all, err := io.ReadAll(conn)
	requireHungUp(t, err)
	return string(all)
}

// Requests that a proxy could read differently are refused, with whatever comes
// behind them, over plain connections and encrypted ones.
func TestWire_Smuggling(t *testing.T) {
	t.Parallel()
	files := newCertificate(t).write(t)
	for name, s := range map[string]*service{
		"http": startService(t), "https": startService(t, "AUTH_HTTP_TLS_CERT_FILE="+files[0], "AUTH_HTTP_TLS_KEY_FILE="+files[1]),
	} {
		const post, second = "POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n", "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
		for shape, request := range map[string]string{
			"LengthAndChunked":  post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second,
			"ChunkedAndLength":  post + "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + second,
			"TwoLengths":        post + "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + second,
			"SameLengthTwice":   post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + second,
			"LengthList":        post + "Content-Length: 2, 2\r\n\r\n{}" + second,
			"FoldedEncoding":    post + "X: y\r\n Transfer-Encoding: chunked\r\n\r\n" + second,
			"FoldedValue":       post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + second,
			"SpaceBeforeColon":  post + "Content-Length : 2\r\n\r\n{}" + second,
			"BareLF":            "GET / HTTP/1.1\nHost: x\n\n" + second,
			"BareLFInHeader":    post + "X: y\nContent-Length: 2\r\n\r\n{}" + second,
			"BareCR":            post + "X: y\rContent-Length: 2\r\n\r\n" + second,
			"ObscuredEncoding":  post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + second,
			"TwoEncodings":      post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + second,
			"EncodingInHTTP1.0": "POST /v1/auth/login HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second,
			"NoHost":            "GET / HTTP/1.1\r\n\r\n" + second,
			"TwoHosts":          "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + second,
			"NUL":               "GET / HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n" + second,
			"HTTP2Preface":      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + second,
			"ChunkExtension":    post + "Transfer-Encoding: chunked\r\n\r\n2;\n\r\n{}\r\n0\r\n\r\n" + second,
			"ChunkSizeLF":       post + "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n" + second,
			"ChunkSizeSign":     post + "Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n" + second,
			"ChunkTooLong":      post + "Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n" + second,
			"Trailer":           post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: 2\r\n\r\n" + second,
		} {
			answer := s.say(t, request)
			require.True(t, strings.HasPrefix(answer, "HTTP/1.1 400 "), "%s %s: %q", name, shape, answer)
			require.Equal(t, 1, strings.Count(answer, "HTTP/1."), "%s %s: %q", name, shape, answer)
		}
		require.NotContains(t, s.logs.String(), "/smuggled")

		// What is merely unusual works, one after another, until the first bad one.
		conn := s.dial(t)
		answers := bufio.NewReader(conn)
		for request, status := range map[string]int{
			"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" + second:                             200,
			post + "transfer-encoding: Chunked\r\n\r\n001\r\n{\r\n1\r\n}\r\n0\r\n\r\n" + second: 422,
			post + "CONTENT-LENGTH:2\r\n\r\n{}" + second:                                        422,
		} {
			_, err := io.WriteString(conn, request)
			require.NoError(t, err)
			for _, want := range []int{status, 404} {
				response, err := http.ReadResponse(answers, nil)
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, response.Body)
				require.NoError(t, err)
				require.Equal(t, want, response.StatusCode, request)
			}
		}
		_, err := io.WriteString(conn, "GET / HTTP/1.1\n")
		require.NoError(t, err)
		rest, err := io.ReadAll(answers)
		require.NoError(t, err)
		require.Empty(t, rest, "no answer, for there was no request")
	}
}

// What is too long for a header is refused before it is held.
func TestWire_LargeHeaders(t *testing.T) {
	t.Parallel()
	s := startService(t)
	for name, request := range map[string]string{
		"Header":  "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 24<<10) + "\r\n\r\n",
		"Headers": "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: x\r\n", 4<<10) + "\r\n",
		"URL":     "GET /" + strings.Repeat("x", 24<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"NoEnd":   "GET /" + strings.Repeat("x", 100<<10),
	} {
		answer := s.say(t, request)
		require.True(t, strings.HasPrefix(answer, "HTTP/1.1 431 "), "%s: %.100q", name, answer)
	}
	response, _ := s.anonymous(t).send(t, http.MethodGet, "/"+strings.Repeat("x", 8<<10), "")
	require.Equal(t, 404, response.StatusCode)
}

// Clients that are slow, or that never come to an end, are hung up on in time,
// and nothing of them is left.
func TestWire_SlowClients(t *testing.T) {
	t.Parallel()
	p := startProcess(t, pgtest.New(t),
		"AUTH_HTTP_READ_HEADER_TIMEOUT=2s", "AUTH_HTTP_READ_TIMEOUT=3s", "AUTH_HTTP_IDLE_TIMEOUT=2s",
		"AUTH_HTTP_WRITE_TIMEOUT=5s", "AUTH_HTTP_REQUEST_TIMEOUT=4900ms", // below it, as they must be:
		"AUTH_DATABASE_SILENCE_TIMEOUT=4800ms", "AUTH_DATABASE_STATEMENT_TIMEOUT=4800ms")
	const head = "POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	const bundle = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
	clients := map[string]struct {
		first, again string        // said once, and then over and over
		every        time.Duration // with pauses
		reads        bool
		answer       string // what it begins with
	}{
		"SaysNothing":        {reads: true},
		"TricklesAHeader":    {first: "GET / HTTP/1.1\r\nX: ", again: "x", every: aMoment, reads: true},
		"TricklesHeaders":    {first: "GET / HTTP/1.1\r\n", again: "X: x\r\n", every: aMoment, reads: true},
		"TricklesABody":      {first: head + "Content-Length: 60000\r\n\r\n", again: " ", every: aMoment, reads: true, answer: "HTTP/1.1 400 "},
		"TricklesChunks":     {first: head + "Transfer-Encoding: chunked\r\n\r\n", again: "1\r\n \r\n", every: aMoment, reads: true, answer: "HTTP/1.1 400 "},
		"StopsInABody":       {first: head + "Content-Length: 60000\r\n\r\n{", reads: true, answer: "HTTP/1.1 400 "},
		"SendsWithoutEnd":    {first: head + "Transfer-Encoding: chunked\r\n\r\n", again: "1000\r\n" + strings.Repeat(" ", 4096) + "\r\n", reads: true, answer: "HTTP/1.1 413 "},
		"IsIdle":             {first: "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n", reads: true, answer: "HTTP/1.1 200 "},
		"NeverReads":         {first: strings.Repeat(bundle, 100)},
		"PipelinesEndlessly": {again: bundle},
	}
	t.Run("Clients", func(t *testing.T) {
		for name, client := range clients {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				conn := p.dial(t)
				hungUp := make(chan struct{})
				go func() {
					defer close(hungUp)
					if _, err := io.WriteString(conn, client.first); err != nil {
						return
					}
					if client.again == "" && client.reads {
						return // the reader sees it
					}
					for every := time.NewTicker(max(client.every, time.Microsecond)); ; <-every.C {
						// Of a connection that is closed, a write says so, sooner or later.
						if _, err := io.WriteString(conn, cmp.Or(client.again, bundle)); err != nil {
							return
						}
					}
				}()
				if client.reads {
					answers := bufio.NewReader(conn)
					line, err := answers.ReadString('\n')
					if client.answer == "" {
						require.Error(t, err)
					}
					require.True(t, strings.HasPrefix(line, client.answer), "%q", line)
					_, err = io.Copy(io.Discard, answers)
					requireHungUp(t, err)
				}
				<-hungUp
				_, err := conn.Write([]byte("x"))
				requireHungUp(t, err)
			})
		}
	})
	// Only that of the question is left.
	require.Eventually(t, func() bool { return p.connections(t) == 1 }, eventually, aMoment)
}

// requireHungUp asserts that the service ended a connection, in order or by a
// reset, before the test's patience did.
func requireHungUp(t *testing.T, err error) {
	t.Helper()
	var network net.Error
	require.False(t, errors.As(err, &network) && network.Timeout(), "the connection stays open")
}
