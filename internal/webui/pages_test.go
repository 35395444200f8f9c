package webui_test

import (
	"bytes"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/webui"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const pagesPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var example = webui.PagesOptions{ProductName: "Example", HomeURL: "https://www.example.com/start?from=mail&x=1"}

func TestPages_Golden(t *testing.T) {
	t.Parallel()
	pages := webui.Pages(example)
	for _, path := range []string{webui.VerifyEmailPath, webui.ResetPasswordPath} {
		for _, lang := range []string{"en", "de", "it"} {
			t.Run(path+"/"+lang, func(t *testing.T) {
				t.Parallel()
				res := do(t, pages, http.MethodGet, path, "Accept-Language", lang)
				require.Equal(t, http.StatusOK, res.Code)
				require.Equal(t, lang, res.Header().Get("Content-Language"))
				require.Contains(t, res.Body.String(), `<html lang="`+lang+`">`)

				file := filepath.Join("testdata", "pages", filepath.Base(path)+"."+lang+".html")
				if *update {
					require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
					require.NoError(t, os.WriteFile(file, res.Body.Bytes(), 0o644))
				}
				golden, err := os.ReadFile(file)
				require.NoError(t, err)
				require.Empty(t, cmp.Diff(string(golden), res.Body.String()), "go test ./internal/webui -update, if it is meant")
			})
		}
	}
}

func TestPages_Headers(t *testing.T) {
	t.Parallel()
	pages := webui.Pages(example)
	const html = "text/html; charset=utf-8"

	tests := map[string]struct{ contentType, cache, vary, file string }{
		"/verify-email":   {html, "no-store", "Accept-Language", ""},
		"/reset-password": {html, "no-store", "Accept-Language", ""},
		"/pages/page.js":  {"text/javascript; charset=utf-8", "no-cache", "Accept-Encoding", "pages/page.js"},
		"/pages/page.css": {"text/css; charset=utf-8", "no-cache", "Accept-Encoding", "pages/page.css"},
		"/pages/icon.svg": {"image/svg+xml", "no-cache", "Accept-Encoding", "pages/icon.svg"},
	}
	require.Len(t, pages.Paths(), len(tests), "a path without a test")
	require.IsIncreasing(t, pages.Paths())

	for path, want := range tests {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, pages.Paths(), path)

			res := do(t, pages, http.MethodGet, path)
			require.Equal(t, http.StatusOK, res.Code)
			require.Equal(t, []string{pagesPolicy}, res.Header().Values("Content-Security-Policy"))
			require.Equal(t, "no-referrer", res.Header().Get("Referrer-Policy"))
			require.Equal(t, "nosniff", res.Header().Get("X-Content-Type-Options"))
			require.Equal(t, want.contentType, res.Header().Get("Content-Type"))
			require.Equal(t, []string{want.cache}, res.Header().Values("Cache-Control"))
			require.Equal(t, []string{want.vary}, res.Header().Values("Vary"))
			require.Equal(t, strconv.Itoa(res.Body.Len()), res.Header().Get("Content-Length"))
			if want.file != "" {
				file, err := os.ReadFile(filepath.FromSlash(want.file))
				require.NoError(t, err)
				require.True(t, bytes.Equal(file, res.Body.Bytes()), "not the bytes of %s", want.file)
				again := do(t, pages, http.MethodGet, path, "If-None-Match", res.Header().Get("ETag"))
				require.Equal(t, http.StatusNotModified, again.Code)
			}

			head := do(t, pages, http.MethodHead, path)
			require.Equal(t, http.StatusOK, head.Code)
			require.Equal(t, res.Header(), head.Header())
			require.Empty(t, head.Body.Bytes())
		})
	}
}

func TestPages_Language(t *testing.T) {
	t.Parallel()
	pages := webui.Pages(example)
	tests := map[string]struct{ accept, want string }{
		"None":         {"", "en"},
		"Plain":        {"it", "it"},
		"Region":       {"de-AT", "de"},
		"Case":         {"DE-ch", "de"},
		"Weights":      {"en;q=0.1, it;q=0.9, de;q=0.5", "it"},
		"SecondChoice": {"fr-FR, fr;q=0.9, de;q=0.2", "de"},
		"Unknown":      {"fr, ja;q=0.5", "en"},
		"Any":          {"*", "en"},
		"Garbage":      {"de;q=much, <script>", "en"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := do(t, pages, http.MethodGet, webui.VerifyEmailPath, "Accept-Language", tt.accept)
			require.Equal(t, tt.want, res.Header().Get("Content-Language"))
			require.Contains(t, res.Body.String(), `<html lang="`+tt.want+`">`)
		})
	}
}

func TestPages_Escaping(t *testing.T) {
	t.Parallel()
	pages := webui.Pages(webui.PagesOptions{
		ProductName: `"'><script>alert(1)</script>{{.}}&amp;`,
		HomeURL:     `javascript:alert(1)//"><script>`,
	})
	for _, path := range []string{webui.VerifyEmailPath, webui.ResetPasswordPath} {
		body := do(t, pages, http.MethodGet, path).Body.String()
		require.Contains(t, body, `<p class="product">&#34;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;{{.}}&amp;amp;</p>`)
		require.NotContains(t, body, "<script>")
		require.NotContains(t, body, "javascript:")
		require.NotContains(t, body, `"'>`)
	}
}

// Nothing of the request but its language shows in the page: a token in the query stays where it is.
func TestPages_EchoNothing(t *testing.T) {
	t.Parallel()
	pages := webui.Pages(example)
	for _, path := range []string{webui.VerifyEmailPath, webui.ResetPasswordPath} {
		plain := do(t, pages, http.MethodGet, path)
		res := do(t, pages, http.MethodGet, path+"?token=t0k3n&invited=1", "X-Forwarded-Host", "evil.example")
		require.Equal(t, plain.Body.String(), res.Body.String())
		require.Equal(t, plain.Header(), res.Header())
	}
}

func TestPages_Markup(t *testing.T) {
	t.Parallel()
	pages := webui.Pages(webui.PagesOptions{ProductName: "Example"})
	links := regexp.MustCompile(`(?:src|href|action)="([^"]*)"`)
	for path, action := range map[string]string{
		webui.VerifyEmailPath:   "v1/auth/email/verify",
		webui.ResetPasswordPath: "v1/auth/password/reset",
	} {
		page := do(t, pages, http.MethodGet, path).Body.String()
		require.NotRegexp(t, ` style=| on[a-z]+=|<style`, page, "the policy forbids inline styles and scripts")
		require.NotRegexp(t, `<script[^>]*>[^<]`, page, "the policy forbids inline scripts")
		require.NotRegexp(t, `(?:src|href|action|data-[a-z-]+)=""`, page, "a word is missing")
		require.NotContains(t, page, `id="home"`, "there is nowhere to go on to")

		found := links.FindAllStringSubmatch(page, -1)
		require.Len(t, found, 4)
		for _, link := range found {
			require.NotRegexp(t, `^/|:`, link[1], "not relative")
			if link[1] != action {
				require.Equal(t, http.StatusOK, do(t, pages, http.MethodGet, "/"+link[1]).Code, link[1])
			}
		}
		require.Contains(t, page, `action="`+action+`"`)
	}
}

func TestPages_UnknownPath(t *testing.T) {
	t.Parallel()
	pages := webui.Pages(example)
	for _, path := range []string{
		"/", "/verify-email/", "/Verify-Email", "/reset-password/x", "/pages", "/pages/", "/pages/page.html", "/pages//page.js",
		"/pages/../pages.go", "/pages/%2e%2e/pages.go", `/pages/..%5cpages.go`, "/pages/page.js%00", "/docs",
	} {
		res := do(t, pages, http.MethodGet, path)
		require.Equal(t, http.StatusNotFound, res.Code, path)
		require.Equal(t, "nosniff", res.Header().Get("X-Content-Type-Options"))
		require.Equal(t, pagesPolicy, res.Header().Get("Content-Security-Policy"))
	}
}

func TestPages_OtherMethod(t *testing.T) {
	t.Parallel()
	pages := webui.Pages(example)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions} {
		for _, path := range pages.Paths() {
			res := do(t, pages, method, path)
			require.Equal(t, http.StatusMethodNotAllowed, res.Code)
			require.Equal(t, "GET, HEAD", res.Header().Get("Allow"))
		}
	}
}
