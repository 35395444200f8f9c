package webui

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"
)

// Where mailed links lead to, and where [Pages] expects to be mounted. The token of a link stands in its
// fragment, as in /verify-email#token=…, so that it reaches no log and no Referer; ?token=… works as well.
const (
	VerifyEmailPath   = "/verify-email"   // Also confirms a new address.
	ResetPasswordPath = "/reset-password" // With &invited=1 it welcomes the person who was invited.
)

// pagesPolicy leaves out forms on purpose: the script sends them, so that a password never becomes part of a
// navigation.
const pagesPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var (
	//go:embed pages/page.html pages/page.js pages/page.css pages/icon.svg
	pagesFiles embed.FS

	pagesTemplate = template.Must(template.ParseFS(pagesFiles, "pages/page.html"))
)

// PagesOptions say whose pages they are.
type PagesOptions struct {
	ProductName string // What people know the product by; must be set.
	HomeURL     string // Where they go on to when they are done, or "" for no link.
}

// PagesHandler serves the pages that mailed links lead to. Make one with [Pages].
type PagesHandler struct {
	languages language.Matcher
	pages     map[string][]hostedPage // By URL path, then in the order of languages.
	assets    map[string]*asset       // By URL path.
}

// hostedPage is a page in one language.
type hostedPage struct {
	lang string
	body []byte
}

// Pages returns the handler of [VerifyEmailPath], [ResetPasswordPath] and their files. Opening a page changes
// nothing: a person presses its button, and its script POSTs to the API of the same origin. The pages speak
// English, German and Italian, as the browser prefers.
//
// Like [Docs] it links relatively and answers GET and HEAD; anything else gets 405, an unknown path 404.
func Pages(o PagesOptions) *PagesHandler {
	h := &PagesHandler{
		pages: map[string][]hostedPage{},
		assets: map[string]*asset{
			"/pages/page.js":  pagesAsset("pages/page.js", "text/javascript; charset=utf-8"),
			"/pages/page.css": pagesAsset("pages/page.css", "text/css; charset=utf-8"),
			"/pages/icon.svg": pagesAsset("pages/icon.svg", "image/svg+xml"),
		},
	}
	var tags []language.Tag
	for _, t := range pagesTexts(o.ProductName) {
		tags = append(tags, language.MustParse(t.Lang))
		h.add(VerifyEmailPath, pageView{PagesOptions: o, pageTexts: t, step: t.Verify, Action: "v1/auth/email/verify"})
		h.add(ResetPasswordPath, pageView{
			PagesOptions: o, pageTexts: t, step: t.Reset, Invited: &t.Invited,
			Action: "v1/auth/password/reset", AsksPassword: true,
		})
	}
	h.languages = language.NewMatcher(tags)
	return h
}

// pageView is what the template shows.
type pageView struct {
	PagesOptions
	pageTexts
	step
	Invited      *step  // Takes the place of step for who was invited; nil if nobody is.
	Action       string // The operation of the API.
	AsksPassword bool
}

func (h *PagesHandler) add(path string, v pageView) {
	var body bytes.Buffer
	if err := pagesTemplate.Execute(&body, v); err != nil {
		panic(err) // A mistake in page.html, which every test would hit.
	}
	h.pages[path] = append(h.pages[path], hostedPage{lang: v.Lang, body: body.Bytes()})
}

func pagesAsset(file, contentType string) *asset {
	body, err := pagesFiles.ReadFile(file)
	if err != nil {
		panic(err) // Not embedded: a mistake in this file, which every test would hit.
	}
	return newAsset(body, contentType)
}

// Paths returns every URL path that the handler answers, sorted.
func (h *PagesHandler) Paths() []string {
	paths := make([]string, 0, len(h.pages)+len(h.assets))
	for path := range h.pages {
		paths = append(paths, path)
	}
	for path := range h.assets {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// ServeHTTP implements [http.Handler].
func (h *PagesHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", pagesPolicy)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")

	page, isPage := h.pages[r.URL.Path]
	asset, isAsset := h.assets[r.URL.Path]
	switch {
	case !isPage && !isAsset:
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		header.Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	case isAsset:
		asset.serve(w, r)
	default:
		// No match is the first language, English.
		_, best := language.MatchStrings(h.languages, strings.Join(r.Header.Values("Accept-Language"), ","))
		page[best].serve(w, r)
	}
}

func (p hostedPage) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Add("Vary", "Accept-Language")
	header.Set("Cache-Control", "no-store") // The URL may hold a token.
	header.Set("Content-Language", p.lang)
	header.Set("Content-Type", "text/html; charset=utf-8")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.body))
}
