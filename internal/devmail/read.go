package devmail

import (
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/text/encoding/htmlindex"
)

// A mail may say that it nests, or repeats, without end.
const (
	maxDepth = 8
	maxParts = 100
	maxLinks = 200
)

// read makes the best of a mail, however broken it is.
func read(source string) Message {
	m := Message{Source: source, Links: []string{}}
	parsed, err := mail.ReadMessage(strings.NewReader(source))
	if err != nil {
		m.Text = strings.ToValidUTF8(source, "\ufffd")
	} else {
		words := mime.WordDecoder{CharsetReader: charset}
		m.Subject = parsed.Header.Get("Subject")
		if subject, err := words.DecodeHeader(m.Subject); err == nil {
			m.Subject = subject
		}
		m.Subject = strings.ToValidUTF8(m.Subject, "\ufffd")
		r := reader{m: &m}
		r.part(parsed.Header.Get, parsed.Body, 0)
	}
	m.Links = links(m.Text, m.HTML)
	return m
}

// reader walks through the parts of a mail.
type reader struct {
	m     *Message
	parts int
}

func (r *reader) part(header func(string) string, body io.Reader, depth int) {
	if depth > maxDepth {
		return
	}
	kind, params, err := mime.ParseMediaType(header("Content-Type"))
	if err != nil {
		kind = "text/plain" // RFC 2045, 5.2
	}
	if strings.HasPrefix(kind, "multipart/") {
		parts := multipart.NewReader(body, params["boundary"])
		for ; r.parts < maxParts; r.parts++ {
			p, err := parts.NextRawPart()
			if err != nil {
				return
			}
			r.part(p.Header.Get, p, depth+1)
		}
		return
	}
	into := map[string]*string{"text/plain": &r.m.Text, "text/html": &r.m.HTML}[kind]
	if into == nil || *into != "" {
		return // an attachment, or not the first
	}
	switch strings.ToLower(strings.TrimSpace(header("Content-Transfer-Encoding"))) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	if decoded, err := charset(params["charset"], body); err == nil {
		body = decoded
	}
	content, _ := io.ReadAll(body) // As far as it can be read.
	*into = strings.ToValidUTF8(strings.ReplaceAll(string(content), "\r\n", "\n"), "\ufffd")
}

// charset decodes what is in a charset of the web; RFC 2045's default is US-ASCII.
func charset(name string, r io.Reader) (io.Reader, error) {
	if name == "" {
		return r, nil
	}
	encoding, err := htmlindex.Get(name)
	if err != nil {
		return nil, err
	}
	return encoding.NewDecoder().Reader(r), nil
}

var inText = regexp.MustCompile(`https?://[^\s<>"'` + "`" + `]+`)

// links finds what a reader of the mail could open.
func links(text, markup string) []string {
	found := []string{}
	add := func(link string) {
		if u, err := url.Parse(link); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return
		}
		if len(found) < maxLinks && !slices.Contains(found, link) {
			found = append(found, link)
		}
	}
	for _, link := range inText.FindAllString(text, -1) {
		add(strings.TrimRight(link, ".,;:!?)]"))
	}
	for z := html.NewTokenizer(strings.NewReader(markup)); z.Next() != html.ErrorToken; {
		if token := z.Token(); token.Data == "a" || token.Data == "area" {
			for _, a := range token.Attr {
				if a.Key == "href" {
					add(strings.TrimSpace(a.Val))
				}
			}
		}
	}
	return found
}
