package webui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// DocsPath is where [Docs] expects to be mounted.
const DocsPath = "/docs"

// docsPolicy lets the page load and call its own origin and nothing else. The data: images are the arrows in
// Swagger UI's style sheet.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var (
	//go:embed docs/index.html docs/init.js docs/docs.css
	//go:embed swaggerui/swagger-ui-bundle.js swaggerui/swagger-ui.css swaggerui/favicon-32x32.png
	//go:embed swaggerui/LICENSE swaggerui/NOTICE swaggerui/swagger-ui-bundle.js.LICENSE.txt
	files embed.FS

	docsPage = template.Must(template.ParseFS(files, "docs/index.html"))
)

// docsFiles are served under [DocsPath], next to the page itself. The licences come along because their
// terms say so.
var docsFiles = []struct{ name, file, contentType string }{
	{"init.js", "docs/init.js", "text/javascript; charset=utf-8"},
	{"docs.css", "docs/docs.css", "text/css; charset=utf-8"},
	{"swagger-ui-bundle.js", "swaggerui/swagger-ui-bundle.js", "text/javascript; charset=utf-8"},
	{"swagger-ui.css", "swaggerui/swagger-ui.css", "text/css; charset=utf-8"},
	{"favicon-32x32.png", "swaggerui/favicon-32x32.png", "image/png"},
	{"LICENSE", "swaggerui/LICENSE", "text/plain; charset=utf-8"},
	{"NOTICE", "swaggerui/NOTICE", "text/plain; charset=utf-8"},
	{"swagger-ui-bundle.js.LICENSE.txt", "swaggerui/swagger-ui-bundle.js.LICENSE.txt", "text/plain; charset=utf-8"},
}

// DocsHandler serves Swagger UI. Make one with [Docs].
type DocsHandler struct {
	assets map[string]*asset // By URL path.
}

// Docs returns the handler of [DocsPath] and everything below it: a page with Swagger UI that shows the
// OpenAPI document at specURL, in JSON or YAML.
//
// The page answers at /docs and at /docs/ alike, without a redirect, and links to its files relatively, so
// it also works behind a proxy that strips a prefix. Files are revalidated by their ETag on each visit.
//
// The handler answers GET and HEAD; anything else gets 405, an unknown path 404, both as plain text. A
// router with its own answers to those registers [DocsHandler.Paths] one by one instead of the whole subtree.
func Docs(specURL string) *DocsHandler {
	h := &DocsHandler{assets: map[string]*asset{
		DocsPath:       newAsset(renderDocs("docs/", specURL), "text/html; charset=utf-8"),
		DocsPath + "/": newAsset(renderDocs("", specURL), "text/html; charset=utf-8"),
	}}
	for _, f := range docsFiles {
		body, err := files.ReadFile(f.file)
		if err != nil {
			panic(err) // Not embedded: a mistake in this file, which every test would hit.
		}
		h.assets[DocsPath+"/"+f.name] = newAsset(body, f.contentType)
	}
	return h
}

// renderDocs renders the page for a URL from which its files are found under base.
func renderDocs(base, specURL string) []byte {
	var page bytes.Buffer
	err := docsPage.Execute(&page, struct{ Base, SpecURL string }{base, specURL})
	if err != nil {
		panic(err) // A mistake in index.html, which every test would hit.
	}
	return page.Bytes()
}

// Paths returns every URL path that the handler answers, sorted.
func (h *DocsHandler) Paths() []string {
	paths := make([]string, 0, len(h.assets))
	for path := range h.assets {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// ServeHTTP implements [http.Handler].
func (h *DocsHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", docsPolicy)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")

	// A map of whole paths: nothing is joined or cleaned, so there is nothing to traverse.
	a, ok := h.assets[r.URL.Path]
	switch {
	case !ok:
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		header.Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	default:
		a.serve(w, r)
	}
}

// asset is one file with what HTTP has to know about it.
type asset struct {
	body        []byte
	contentType string
	hash        string
	gzipped     func() []byte // Compressed when first asked for; nil where that gains nothing.
}

func newAsset(body []byte, contentType string) *asset {
	sum := sha256.Sum256(body)
	a := &asset{body: body, contentType: contentType, hash: base64.RawURLEncoding.EncodeToString(sum[:12])}
	if contentType != "image/png" {
		a.gzipped = sync.OnceValue(func() []byte { return compress(body) })
	}
	return a
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	header, body, etag := w.Header(), a.body, a.hash
	if a.gzipped != nil {
		header.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header) {
			// Another sequence of bytes, so another ETag (RFC 9110, 8.8.3.3).
			body, etag = a.gzipped(), etag+"-gzip"
			header.Set("Content-Encoding", "gzip")
		}
	}
	header.Set("Cache-Control", "no-cache")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Content-Type", a.contentType)
	header.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// compress gzips body at the best level: about 60 ms for the bundle, once in the life of the process.
func compress(body []byte) []byte {
	var out bytes.Buffer
	// Neither call can fail: the level is valid, and a bytes.Buffer takes everything.
	zw, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	_, _ = zw.Write(body)
	_ = zw.Close()
	return out.Bytes()
}

// acceptsGzip tells whether Accept-Encoding names gzip, or everything, without refusing it by a weight of 0.
func acceptsGzip(h http.Header) bool {
	accepted := false
	for part := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		coding, parameter, _ := strings.Cut(part, ";")
		coding = strings.ToLower(strings.TrimSpace(coding))
		if coding != "gzip" && coding != "*" {
			continue
		}
		_, weight, weighted := strings.Cut(strings.TrimSpace(parameter), "=")
		q, err := strconv.ParseFloat(strings.TrimSpace(weight), 64)
		accepted = !weighted || (err == nil && q > 0)
		if coding == "gzip" {
			return accepted // Named itself, which goes before "*".
		}
	}
	return accepted
}
