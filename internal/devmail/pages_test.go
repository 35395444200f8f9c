package devmail

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

const prefix = "/dev/mail"

func do(t *testing.T, b *Mailbox, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	b.Handler(prefix).ServeHTTP(w, r)
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"), path)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"), path)
	require.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"), path)
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'", path)
	return w
}

const alternative = "Subject: <b>Reset</b>\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n" +
	"--b\r\n\r\nhttps://example.com/reset?token=1\r\n--b\r\nContent-Type: text/html\r\n\r\n" +
	"<!doctype html><HEAD lang=en><title>x</title></HEAD><script>alert(1)</script><a href=\"https://example.com/reset?token=1\">go</a>\r\n--b--\r\n"

func TestHandler_Pages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	empty := do(t, b, http.MethodGet, prefix)
	require.Equal(t, http.StatusOK, empty.Code)
	require.Contains(t, empty.Body.String(), b.Addr(), "says where to send to")

	b.send(t, alternative, `"<i>"@example.com`, "ada@example.com")
	b.send(t, subject("other"), "bob@example.com")

	for _, path := range []string{prefix, prefix + "/"} {
		list := do(t, b, http.MethodGet, path)
		require.Equal(t, http.StatusOK, list.Code)
		require.Equal(t, "text/html; charset=utf-8", list.Header().Get("Content-Type"))
		require.Contains(t, list.Body.String(), `<a href="/dev/mail/1">&lt;b&gt;Reset&lt;/b&gt;</a>`)
		require.Less(t, strings.Index(list.Body.String(), "other"), strings.Index(list.Body.String(), "Reset"), "newest first")
		requireOwnPage(t, list)
	}
	filtered := do(t, b, http.MethodGet, prefix+"?to=bob@example.com").Body.String()
	require.NotContains(t, filtered, "Reset")
	require.Contains(t, filtered, `value="bob@example.com"`)
	requireOwnPage(t, do(t, b, http.MethodGet, prefix+`?to=%22%3E%3Cscript%3E`))

	message := do(t, b, http.MethodGet, prefix+"/1")
	require.Equal(t, http.StatusOK, message.Code)
	require.Contains(t, message.Body.String(), "&lt;b&gt;Reset&lt;/b&gt;</h1>")
	require.Contains(t, message.Body.String(), `<a href="https://example.com/reset?token=1" target="_blank" rel="noopener noreferrer">`)
	require.Contains(t, message.Body.String(), `<iframe src="/dev/mail/1/html"`)
	requireOwnPage(t, message)
	require.NotContains(t, do(t, b, http.MethodGet, prefix+"/2").Body.String(), "/2/html", "there is no HTML")

	shown := do(t, b, http.MethodGet, prefix+"/1/html")
	require.Equal(t, "text/html; charset=utf-8", shown.Header().Get("Content-Type"))
	require.Equal(t, mailPolicy, shown.Header().Get("Content-Security-Policy"))
	require.Contains(t, shown.Body.String(), `<HEAD lang=en><base target="_blank"><title>`)

	source := do(t, b, http.MethodGet, prefix+"/1/source")
	require.Equal(t, "text/plain; charset=utf-8", source.Header().Get("Content-Type"))
	require.Equal(t, alternative, source.Body.String())

	style := do(t, b, http.MethodGet, prefix+"/style.css")
	require.Equal(t, http.StatusOK, style.Code)
	require.Equal(t, "text/css; charset=utf-8", style.Header().Get("Content-Type"))
	require.NotRegexp(t, `url\(|@import`, style.Body.String())

	for _, path := range []string{"/3", "/0", "/01", "/x", "/1/", "/1/x", "/../1", "/pages/list.html", "/-1", "/1/html/x"} {
		require.Contains(t, []int{http.StatusNotFound, http.StatusTemporaryRedirect}, do(t, b, http.MethodGet, prefix+path).Code, path)
	}
}

// What a mail brings must not be able to run in, or load through, our pages;
// the policy of the frame is all that stands in its way there.
func TestHandler_Policies(t *testing.T) {
	t.Parallel()
	require.NotContains(t, pagePolicy, "unsafe")
	require.NotContains(t, pagePolicy, "script-src")
	require.NotContains(t, mailPolicy, "script-src")
	require.NotContains(t, mailPolicy, "http")
	require.Contains(t, mailPolicy, "sandbox")
	for _, allowed := range []string{"allow-scripts", "allow-same-origin", "allow-forms", "allow-top-navigation"} {
		require.NotContains(t, mailPolicy, allowed)
	}
}

// requireOwnPage checks a page of ours for anything that its policy forbids, or
// that a mail could have put there.
func requireOwnPage(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	require.Equal(t, pagePolicy, w.Header().Get("Content-Security-Policy"))
	labels := map[string]bool{}
	for z := html.NewTokenizer(w.Body); z.Next() != html.ErrorToken; {
		token := z.Token()
		require.NotContains(t, []string{"script", "b", "i", "style", "img", "base"}, token.Data)
		for _, a := range token.Attr {
			require.NotEqual(t, "style", a.Key)
			require.False(t, strings.HasPrefix(a.Key, "on"), a.Key)
			if token.Data == "link" && a.Key == "href" || a.Key == "src" || a.Key == "action" {
				require.True(t, strings.HasPrefix(a.Val, prefix), "%s=%s", a.Key, a.Val)
			}
			switch {
			case token.Data == "iframe" && a.Key == "sandbox":
				require.NotRegexp(t, `scripts|same-origin|forms|navigation`, a.Val)
				labels["sandbox"] = true
			case token.Data == "iframe" && a.Key == "title", token.Data == "html" && a.Key == "lang":
				labels[a.Key] = true
			}
		}
	}
	require.True(t, labels["lang"])
	require.Equal(t, labels["title"], labels["sandbox"], "every frame is sandboxed and has a title")
}

func TestHandler_JSON(t *testing.T) {
	t.Parallel()
	b := setup(t)
	none := do(t, b, http.MethodGet, prefix+".json")
	require.Equal(t, http.StatusOK, none.Code)
	require.Equal(t, "application/json", none.Header().Get("Content-Type"))
	require.JSONEq(t, `{"messages": []}`, none.Body.String())

	b.send(t, subject("first"), "ada@example.com")
	b.send(t, alternative, "ada@example.com")
	b.send(t, subject("other"), "bob@example.com")
	var answer struct {
		Messages []map[string]any `json:"messages"`
	}
	require.NoError(t, json.Unmarshal(do(t, b, http.MethodGet, prefix+".json?to=Ada@example.com").Body.Bytes(), &answer))
	require.Len(t, answer.Messages, 2)
	newest := answer.Messages[0]
	_, err := time.Parse(time.RFC3339, newest["date"].(string))
	require.NoError(t, err)
	delete(newest, "date")
	require.Equal(t, map[string]any{
		"id": "2", "to": []any{"ada@example.com"}, "from": "app@example.com", "subject": "<b>Reset</b>",
		"text":  "https://example.com/reset?token=1",
		"html":  `<!doctype html><HEAD lang=en><title>x</title></HEAD><script>alert(1)</script><a href="https://example.com/reset?token=1">go</a>`,
		"links": []any{"https://example.com/reset?token=1"},
	}, newest)
	require.NoError(t, json.Unmarshal(do(t, b, http.MethodGet, prefix+".json").Body.Bytes(), &answer))
	require.Len(t, answer.Messages, 3)
}

func TestHandler_Clear(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{http.MethodDelete, prefix + ".json", http.StatusNoContent},
		{http.MethodPost, prefix + "/clear", http.StatusSeeOther},
	} {
		b := setup(t)
		b.send(t, subject("x"), "ada@example.com")
		foreign := do(t, b, test.method, test.path, "Sec-Fetch-Site", "cross-site")
		require.Equal(t, http.StatusForbidden, foreign.Code, "asked by another site's page")
		require.Len(t, b.Messages(""), 1)
		w := do(t, b, test.method, test.path, "Sec-Fetch-Site", "same-origin")
		require.Equal(t, test.want, w.Code)
		require.Empty(t, b.Messages(""))
		b.send(t, subject("x"), "ada@example.com")
		require.Equal(t, test.want, do(t, b, test.method, test.path).Code, "not a browser")
		require.Empty(t, b.Messages(""))
	}
	require.Equal(t, http.StatusMethodNotAllowed, do(t, setup(t), http.MethodPut, prefix+".json").Code)
}
