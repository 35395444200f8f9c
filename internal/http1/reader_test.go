package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// crlf lets requests be written on one line.
func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "|", "\r\n")) }

func TestReader_Passes(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"Get":            "GET / HTTP/1.1|Host: a||",
		"Old":            "GET / HTTP/1.0||",
		"OldWithBody":    "POST / HTTP/1.0|Content-Length: 3||abc",
		"Query":          "GET /x?y=z%20%0a HTTP/1.1|Host: a||",
		"Body":           "POST / HTTP/1.1|Host: a|content-LENGTH:\t3 ||abc",
		"EmptyBody":      "POST / HTTP/1.1|Host: a|Content-Length: 0||",
		"Chunked":        "POST / HTTP/1.1|Host: a|Transfer-Encoding: Chunked||3|abc|00A|0123456789|0||",
		"Pipelined":      "POST / HTTP/1.1|Content-Length: 2|||GET / HTTP/1.1||POST / HTTP/1.1|Transfer-Encoding: chunked||1|x|0||GET / HTTP/1.1||",
		"LineEndsInBody": "POST / HTTP/1.1|Content-Length: 23||\n\r\n\x00\rGET / HTTP/1.1||",
		"LineEndsInData": "POST / HTTP/1.1|Transfer-Encoding: chunked||5|\n\r\n\x00\r|0||",
		"EmptyValue":     "GET / HTTP/1.1|Host:||",
		"OddNames":       "GET / HTTP/1.1|Content_Length: 5|!#$%&'*+-.^_`~: x||",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			input := crlf(request)
			for _, size := range []int{len(input), 1, 2, 3, 7} {
				var r reader
				for piece := range slices.Chunk(input, size) {
					passed, err := r.read(piece)
					require.NoError(t, err)
					require.Equal(t, len(piece), passed)
				}
				require.Equal(t, requestLine, r.next)
				require.Empty(t, r.line)
			}
		})
	}
}

// Each is refused, at whatever places the network cuts it.
func TestReader_Refuses(t *testing.T) {
	t.Parallel()
	const post, chunked = "POST / HTTP/1.1|Host: a|", "POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||"
	for name, test := range map[string]struct {
		request string
		why     error
	}{
		"BareLFInRequestLine":      {"GET / HTTP/1.1\nHost: a||", errLineEnd},
		"BareLFInField":            {"GET / HTTP/1.1|Host: a\nX: y||", errLineEnd},
		"BareLFAtEnd":              {"GET / HTTP/1.1|Host: a|\n", errLineEnd},
		"BareCR":                   {"GET / HTTP/1.1|X: a\rContent-Length: 5||", errLineEnd},
		"TwoCRs":                   {"GET / HTTP/1.1|X: a\r||", errLineEnd},
		"NUL":                      {"GET / HTTP/1.1|X: a\x00b||", errLineEnd},
		"EmptyLineFirst":           {"|GET / HTTP/1.1||", errRequestLine},
		"NoVersion":                {"GET /||", errRequestLine},
		"Version2":                 {"PRI * HTTP/2.0||SM||", errRequestLine},
		"Version1.2":               {"GET / HTTP/1.2||", errRequestLine},
		"LowerVersion":             {"GET / http/1.1||", errRequestLine},
		"SpaceInTarget":            {"GET /a b HTTP/1.1||", errRequestLine},
		"TwoSpaces":                {"GET  / HTTP/1.1||", errRequestLine},
		"SpaceBehind":              {"GET / HTTP/1.1 ||", errRequestLine},
		"OddMethod":                {"G(T / HTTP/1.1||", errRequestLine},
		"Folded":                   {"GET / HTTP/1.1|X: a| b||", errFolded},
		"FoldedByTab":              {"GET / HTTP/1.1|X: a|\tTransfer-Encoding: chunked||", errFolded},
		"FoldedFirst":              {"GET / HTTP/1.1| Host: a||", errFolded},
		"SpaceBeforeColon":         {post + "Content-Length : 3||abc", errField},
		"NoColon":                  {"GET / HTTP/1.1|Host||", errField},
		"NoName":                   {"GET / HTTP/1.1|: a||", errField},
		"TwoLengths":               {post + "Content-Length: 3|Content-Length: 5||abc", errContentLength},
		"TheSameLengthTwice":       {post + "Content-Length: 3|Content-Length: 3||abc", errContentLength},
		"ListOfLengths":            {post + "Content-Length: 3, 3||abc", errContentLength},
		"SignedLength":             {post + "Content-Length: +3||abc", errContentLength},
		"NegativeLength":           {post + "Content-Length: -3||abc", errContentLength},
		"HexLength":                {post + "Content-Length: 0x3||abc", errContentLength},
		"UnderscoreLength":         {post + "Content-Length: 1_0||", errContentLength},
		"NoLength":                 {post + "Content-Length:||", errContentLength},
		"HugeLength":               {post + "Content-Length: 9223372036854775808||", errContentLength},
		"LengthAndEncoding":        {post + "Content-Length: 3|Transfer-Encoding: chunked||0||", errTransferEncoding},
		"EncodingAndLength":        {post + "Transfer-Encoding: chunked|Content-Length: 3||0||", errContentLength},
		"TwoEncodings":             {post + "Transfer-Encoding: chunked|Transfer-Encoding: chunked||0||", errTransferEncoding},
		"ListOfEncodings":          {post + "Transfer-Encoding: chunked, identity||0||", errTransferEncoding},
		"GzipEncoding":             {post + "Transfer-Encoding: gzip, chunked||0||", errTransferEncoding},
		"UnknownEncoding":          {post + "Transfer-Encoding: xchunked||0||", errTransferEncoding},
		"EncodingWithVerticalTab":  {post + "Transfer-Encoding: \vchunked||0||", errTransferEncoding},
		"EncodingWithSpaceInside":  {post + "Transfer-Encoding: chun ked||0||", errTransferEncoding},
		"EncodingInOldHTTP":        {"POST / HTTP/1.0|Transfer-Encoding: chunked||0||", errTransferEncoding},
		"ChunkSizeEmpty":           {chunked + "||", errChunk},
		"ChunkSizeHexPrefix":       {chunked + "0x3|abc|0||", errChunk},
		"ChunkSizeSigned":          {chunked + "+3|abc|0||", errChunk},
		"ChunkSizeSpace":           {chunked + "3 |abc|0||", errChunk},
		"ChunkSizeOverflow":        {chunked + "10000000000000003|abc|0||", errChunk},
		"ChunkSizeNegative":        {chunked + "-1|abc|0||", errChunk},
		"ChunkSizeBareLF":          {chunked + "3\nabc|0||", errLineEnd},
		"ChunkExtension":           {chunked + "3;x=y|abc|0||", errChunk},
		"ChunkExtensionBareLF":     {chunked + "3;\nxx|abc|0||", errLineEnd},
		"ChunkLongerThanSaid":      {chunked + "2|abc|0||", errChunk},
		"ChunkEndBareLF":           {chunked + "3|abc\n0||", errLineEnd},
		"TrailerField":             {chunked + "0|Content-Length: 5||", errChunk},
		"SecondRequestIsAmbiguous": {"GET / HTTP/1.1||" + post + "Content-Length: 3|Content-Length: 3||", errContentLength},
		"LongLine":                 {"GET /" + strings.Repeat("x", maxLine+1), errLineLength},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			input := crlf(test.request)
			for _, size := range []int{len(input), 1, 2, 3, 7} {
				var r reader
				var err error
				for piece := range slices.Chunk(input, size) {
					if _, err = r.read(piece); err != nil {
						break
					}
				}
				require.Equal(t, test.why, err, "in pieces of %d", size)
			}
		})
	}
}

// What is passed on before the refusal is what was well-formed, so that requests
// ahead of a bad one are answered.
func TestReader_PassesWhatCameBefore(t *testing.T) {
	t.Parallel()
	good := crlf("GET / HTTP/1.1|Host: a||GET / HTTP/1.1|")
	passed, err := new(reader).read(append(good, " folded\r\n\r\n"...))
	require.Equal(t, errFolded, err)
	require.Equal(t, len(good), passed)
}

// FuzzReader: where a connection passes, net/http finds every request to begin and
// end where the reader does.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1|Host: a||GET / HTTP/1.1|Host: a||",
		"POST / HTTP/1.1|Host: a|Content-Length: 3||abcGET / HTTP/1.1|Host: a||",
		"POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked||3|abc|0||GET / HTTP/1.1|Host: a||",
		"POST / HTTP/1.0|Content-Length: 3||abc",
		"POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|Content-Length: 3||3|abc|0||",
		"POST / HTTP/1.1|Host: a|Content-Length: 3|Content-Length: 3||abc",
		"GET / HTTP/1.1|Host: a|X: y| z||",
		"GET / HTTP/1.1\nHost: a\n\n",
	} {
		f.Add(crlf(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		var r reader
		var ends []int
		for i := range input {
			if _, err := r.read(input[i : i+1]); err != nil {
				return
			}
			if r.next == requestLine && len(r.line) == 0 {
				ends = append(ends, i+1)
			}
		}
		source := bytes.NewReader(input)
		buffered := bufio.NewReader(source)
		for _, end := range ends {
			request, err := http.ReadRequest(buffered)
			if err != nil {
				return // net/http is the stricter one: it answers 400 and hangs up
			}
			_, err = io.Copy(io.Discard, request.Body)
			require.NoError(t, err)
			require.Equal(t, end, len(input)-source.Len()-buffered.Buffered())
		}
	})
}

func BenchmarkReader(b *testing.B) {
	request := crlf("POST /v1/me/credits/debits HTTP/1.1|Host: auth.example.com|User-Agent: benchmark/1.0|Accept: */*|" +
		"Authorization: Bearer " + strings.Repeat("x", 500) + "|Content-Type: application/json|Idempotency-Key: 0123456789|Content-Length: 12||{\"amount\":1}")
	b.SetBytes(int64(len(request)))
	b.ReportAllocs()
	var r reader
	for b.Loop() {
		if _, err := r.read(request); err != nil {
			b.Fatal(err)
		}
	}
}
