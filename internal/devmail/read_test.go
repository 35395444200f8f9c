package devmail

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func crlf(lines ...string) string { return strings.Join(lines, "\r\n") }

func TestRead(t *testing.T) {
	t.Parallel()
	mixed := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	nest := func(depth int) (s string) {
		for i := range depth {
			s += strings.ReplaceAll(mixed, "b\r", "b"+strings.Repeat("x", depth-i)+"\r")
		}
		return s + "\r\ntext"
	}
	for name, test := range map[string]struct {
		source              string
		subject, text, html string
		links               []string
	}{
		"Plain": {crlf("Subject: Hi", "", "See https://example.com/a?b=c#d.", ""), "Hi", "See https://example.com/a?b=c#d.\n", "", []string{"https://example.com/a?b=c#d"}},
		"Alternative": {crlf(
			"Subject: =?UTF-8?q?Best=C3=A4tigen?=", "Content-Type: multipart/alternative; boundary=b", "",
			"--b", "Content-Type: text/plain; charset=UTF-8", "Content-Transfer-Encoding: quoted-printable", "",
			"https://example.com/verify?token=3Dabc=", "def", "",
			"--b", "Content-Type: text/html; charset=UTF-8", "Content-Transfer-Encoding: base64", "",
			"PGEgaHJlZj0iaHR0cHM6Ly9leGFtcGxlLmNvbS8/YT0xJmFtcDtiPTIiPg==", "--b--", "",
		), "Bestätigen", "https://example.com/verify?token=abcdef\n", `<a href="https://example.com/?a=1&amp;b=2">`, []string{
			"https://example.com/verify?token=abcdef", "https://example.com/?a=1&b=2",
		}},
		"OnlyHTML":       {crlf("Content-Type: text/html", "", "<p>hi</p>"), "", "", "<p>hi</p>", nil},
		"Latin1":         {"Subject: =?iso-8859-1?q?caf=E9?=\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\ncaf\xe9", "café", "café", "", nil},
		"UnknownCharset": {"Subject: =?klingon?q?x?=\r\nContent-Type: text/plain; charset=klingon\r\n\r\na\xff", "=?klingon?q?x?=", "a\ufffd", "", nil},
		"Attachment": {crlf("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "text", "--b", "Content-Type: text/plain", "", "attached", "--b",
			"Content-Type: image/png", "", "x", "--b--"), "", "text", "", nil},
		"NoHeader":        {"no header at all", "", "no header at all", "", nil},
		"Empty":           {"", "", "", "", nil},
		"BadContentType":  {crlf("Content-Type: ;;;", "", "text"), "", "text", "", nil},
		"NoBoundary":      {crlf("Content-Type: multipart/mixed", "", "text"), "", "", "", nil},
		"CutOff":          {crlf("Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: text/plain", "", "half a te"), "", "half a te", "", nil},
		"BadQuoted":       {crlf("Content-Transfer-Encoding: quoted-printable", "", "ok =ZZ bad"), "", "ok =ZZ bad", "", nil},
		"BadBase64":       {crlf("Content-Transfer-Encoding: base64", "", "aGVsbG8=!!!"), "", "hello", "", nil},
		"NotUTF8":         {"Subject: a\xffb\r\n\r\n\xff\x00", "a\ufffdb", "\ufffd\x00", "", nil},
		"TooDeep":         {nest(maxDepth + 1), "", "", "", nil},
		"Deep":            {nest(maxDepth), "", "text", "", nil},
		"TooManyParts":    {mixed + strings.Repeat("Content-Type: image/png\r\n\r\n\r\n--b\r\n", maxParts) + "\r\ntext\r\n--b--", "", "", "", nil},
		"LinkOnceInOrder": {crlf("", "(https://b.example/), https://a.example/ https://b.example/"), "", "(https://b.example/), https://a.example/ https://b.example/", "", []string{"https://b.example/", "https://a.example/"}},
		"OnlyWebLinks": {crlf("Content-Type: text/html", "", `<a href="javascript:alert(1)"><a href="mailto:a@example.com"><a href="/x"><a href="https:///x"><img src="https://i.example/"><A HREF=' http://localhost:8080/x '>`),
			"", "", `<a href="javascript:alert(1)"><a href="mailto:a@example.com"><a href="/x"><a href="https:///x"><img src="https://i.example/"><A HREF=' http://localhost:8080/x '>`, []string{"http://localhost:8080/x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := read(test.source)
			require.Equal(t, test.subject, m.Subject)
			require.Equal(t, test.text, m.Text)
			require.Equal(t, test.html, m.HTML)
			require.NotNil(t, m.Links)
			require.Equal(t, append([]string{}, test.links...), m.Links)
			require.Equal(t, test.source, m.Source)
		})
	}
	require.Len(t, read("\r\n"+strings.Repeat("https://a.example/ ", 5)).Links, 1)
	many := "\r\n"
	for i := range 2 * maxLinks {
		many += "https://a.example/" + strings.Repeat("x", i) + "\n"
	}
	require.Len(t, read(many).Links, maxLinks)
}

// Whatever is sent, it is read without a fault.
func FuzzRead(f *testing.F) {
	f.Add("Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhttps://example.com\r\n--b--")
	f.Add("Content-Transfer-Encoding: base64\r\n\r\n====")
	f.Fuzz(func(t *testing.T, source string) {
		m := read(source)
		require.Equal(t, source, m.Source)
		require.Equal(t, m.Text, strings.ToValidUTF8(m.Text, ""))
	})
}
