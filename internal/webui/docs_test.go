package webui_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/webui"
)

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func do(t *testing.T, h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestDocs_Assets(t *testing.T) {
	t.Parallel()
	docs := webui.Docs("/openapi.yaml")

	// Path → Content-Type, and the file that it must be byte for byte ("" for the rendered page).
	tests := map[string]struct{ contentType, file string }{
		"/docs":                                  {"text/html; charset=utf-8", ""},
		"/docs/":                                 {"text/html; charset=utf-8", ""},
		"/docs/init.js":                          {"text/javascript; charset=utf-8", "docs/init.js"},
		"/docs/docs.css":                         {"text/css; charset=utf-8", "docs/docs.css"},
		"/docs/swagger-ui-bundle.js":             {"text/javascript; charset=utf-8", "swaggerui/swagger-ui-bundle.js"},
		"/docs/swagger-ui.css":                   {"text/css; charset=utf-8", "swaggerui/swagger-ui.css"},
		"/docs/favicon-32x32.png":                {"image/png", "swaggerui/favicon-32x32.png"},
		"/docs/LICENSE":                          {"text/plain; charset=utf-8", "swaggerui/LICENSE"},
		"/docs/NOTICE":                           {"text/plain; charset=utf-8", "swaggerui/NOTICE"},
		"/docs/swagger-ui-bundle.js.LICENSE.txt": {"text/plain; charset=utf-8", "swaggerui/swagger-ui-bundle.js.LICENSE.txt"},
	}
	require.Len(t, docs.Paths(), len(tests), "a path without a test")

	for path, want := range tests {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, docs.Paths(), path)

			res := do(t, docs, http.MethodGet, path)
			body := res.Body.Bytes()
			require.Equal(t, http.StatusOK, res.Code)
			require.Equal(t, want.contentType, res.Header().Get("Content-Type"))
			require.Equal(t, "no-cache", res.Header().Get("Cache-Control"))
			require.Equal(t, "nosniff", res.Header().Get("X-Content-Type-Options"))
			require.Equal(t, "no-referrer", res.Header().Get("Referrer-Policy"))
			require.Equal(t, []string{policy}, res.Header().Values("Content-Security-Policy"))
			require.Empty(t, res.Header().Get("Content-Encoding"))
			require.Regexp(t, `^"[A-Za-z0-9_-]{16}"$`, res.Header().Get("ETag"))
			require.Equal(t, strconv.Itoa(len(body)), res.Header().Get("Content-Length"))
			if want.file != "" {
				file, err := os.ReadFile(filepath.FromSlash(want.file))
				require.NoError(t, err)
				require.True(t, bytes.Equal(file, body), "not the bytes of %s", want.file)
			}

			head := do(t, docs, http.MethodHead, path)
			require.Equal(t, http.StatusOK, head.Code)
			require.Equal(t, res.Header(), head.Header())
			require.Empty(t, head.Body.Bytes())
		})
	}
}

func TestDocs_Page(t *testing.T) {
	t.Parallel()
	docs := webui.Docs("/openapi.yaml")
	links := regexp.MustCompile(`(?:src|href)="([^"]+)"`)

	// From /docs a relative link starts at the root, from /docs/ below it.
	for path, base := range map[string]string{"/docs": "/", "/docs/": "/docs/"} {
		page := do(t, docs, http.MethodGet, path).Body.String()

		require.Contains(t, page, `<html lang="en">`)
		require.Contains(t, page, `<title>Auth Service API</title>`)
		require.Contains(t, page, `name="viewport"`)
		require.Contains(t, page, `data-spec-url="/openapi.yaml"`)
		require.Contains(t, page, `<a href="/openapi.yaml">`)
		require.NotContains(t, page, "style=", "the policy forbids inline styles")
		require.NotRegexp(t, `<script[^>]*>[^<]`, page, "the policy forbids inline scripts")

		found := links.FindAllStringSubmatch(page, -1)
		require.Len(t, found, 6)
		for _, link := range found {
			if link[1] == "/openapi.yaml" {
				continue
			}
			require.NotRegexp(t, `^/|:`, link[1], "not relative")
			require.Equal(t, http.StatusOK, do(t, docs, http.MethodGet, base+link[1]).Code, link[1])
		}
	}
}

func TestDocs_Gzip(t *testing.T) {
	t.Parallel()
	docs := webui.Docs("/openapi.yaml")

	tests := map[string]struct {
		path, accept string
		want         string
	}{
		"Script":         {"/docs/swagger-ui-bundle.js", "gzip, deflate, br", "gzip"},
		"Page":           {"/docs", "gzip", "gzip"},
		"Weighted":       {"/docs/swagger-ui.css", "br;q=1.0, GZIP;q=0.5", "gzip"},
		"Any":            {"/docs/swagger-ui.css", "*", "gzip"},
		"Refused":        {"/docs/swagger-ui.css", "gzip;q=0, *", ""},
		"RefusedInWords": {"/docs/swagger-ui.css", "identity, *;q=0.0", ""},
		"BadWeight":      {"/docs/swagger-ui.css", "gzip;q=lots", ""},
		"Other":          {"/docs/swagger-ui.css", "br, xgzip", ""},
		"Empty":          {"/docs/swagger-ui.css", "", ""},
		"Image":          {"/docs/favicon-32x32.png", "gzip", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain := do(t, docs, http.MethodGet, tt.path)
			want := plain.Body.Bytes()

			res := do(t, docs, http.MethodGet, tt.path, "Accept-Encoding", tt.accept)
			require.Equal(t, tt.want, res.Header().Get("Content-Encoding"))
			body := res.Body.Bytes()
			require.Equal(t, strconv.Itoa(len(body)), res.Header().Get("Content-Length"))
			if tt.want == "" {
				require.True(t, bytes.Equal(want, body))
				return
			}
			require.Equal(t, "Accept-Encoding", res.Header().Get("Vary"))
			require.NotEqual(t, plain.Header().Get("ETag"), res.Header().Get("ETag"))
			require.Less(t, len(body), len(want))
			zr, err := gzip.NewReader(bytes.NewReader(body))
			require.NoError(t, err)
			unzipped, err := io.ReadAll(zr)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, unzipped))
		})
	}
}

func TestDocs_NotModified(t *testing.T) {
	t.Parallel()
	docs := webui.Docs("/openapi.yaml")
	for _, encoding := range []string{"", "gzip"} {
		first := do(t, docs, http.MethodGet, "/docs/swagger-ui-bundle.js", "Accept-Encoding", encoding)

		again := do(t, docs, http.MethodGet, "/docs/swagger-ui-bundle.js",
			"Accept-Encoding", encoding, "If-None-Match", first.Header().Get("ETag"))
		require.Equal(t, http.StatusNotModified, again.Code)
		require.Equal(t, first.Header().Get("ETag"), again.Header().Get("ETag"))
		require.Equal(t, "no-cache", again.Header().Get("Cache-Control"))
		require.Empty(t, again.Body.Bytes())

		other := do(t, docs, http.MethodGet, "/docs/swagger-ui-bundle.js",
			"Accept-Encoding", encoding, "If-None-Match", `"older"`)
		require.Equal(t, http.StatusOK, other.Code)
	}
}

func TestDocs_UnknownPath(t *testing.T) {
	t.Parallel()
	docs := webui.Docs("/openapi.yaml")
	for _, path := range []string{
		"/", "/docsx", "/doc", "/docs//", "/docs/index.html", "/docs/swaggerui/", "/docs/init.js/", "/docs/INIT.JS",
		"/docs/docs.go", "/docs/../docs.go", "/docs/../../webui/doc.go", "/docs/./init.js", "/docs//init.js",
		"/docs/..%2fdocs.go", "/docs/%2e%2e/docs.go", `/docs/..%5cdocs.go`, "/docs/init.js%00", "/docs/swagger-ui-bundle.js.map",
	} {
		res := do(t, docs, http.MethodGet, path)
		require.Equal(t, http.StatusNotFound, res.Code, path)
		require.Equal(t, "nosniff", res.Header().Get("X-Content-Type-Options"))
		require.Equal(t, policy, res.Header().Get("Content-Security-Policy"))
	}
}

func TestDocs_OtherMethod(t *testing.T) {
	t.Parallel()
	docs := webui.Docs("/openapi.yaml")
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions} {
		for _, path := range docs.Paths() {
			res := do(t, docs, method, path)
			require.Equal(t, http.StatusMethodNotAllowed, res.Code)
			require.Equal(t, "GET, HEAD", res.Header().Get("Allow"))
		}
	}
}
