package devmail

import (
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"regexp"
	"strings"
	"time"
)

//go:embed pages
var files embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"join": func(s []string) string { return strings.Join(s, ", ") },
	"rfc":  func(t time.Time) string { return t.Format(time.RFC3339) },
	"time": func(t time.Time) string { return t.Local().Format("2 Jan 15:04:05") },
}).ParseFS(files, "pages/*.html"))

const (
	// Our pages load their style sheet and show mails in frames.
	pagePolicy = "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	// A mail is a stranger's page: it runs nothing, loads nothing, and belongs to
	// no origin. Its links open in a window of their own.
	mailPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; frame-ancestors 'self'; " +
		"sandbox allow-popups allow-popups-to-escape-sandbox"
)

// Handler shows the mailbox at prefix, as "/dev/mail":
//
//	GET    prefix            the list, newest first; ?to=… for one address
//	GET    prefix/ID         one mail; below it /html and /source
//	POST   prefix/clear      forgets all mails, for the button in the list
//	GET    prefix.json       {"messages": […]}, newest first; ?to=… for one address
//	DELETE prefix.json       forgets all mails
//
// Requests that change something are refused when another site's page made them.
func (b *Mailbox) Handler(prefix string) http.Handler {
	mux := http.NewServeMux()
	p := pageset{b, prefix}
	mux.HandleFunc("GET "+prefix, p.list)
	mux.HandleFunc("GET "+prefix+"/{$}", p.list)
	mux.HandleFunc("GET "+prefix+"/style.css", p.style)
	mux.HandleFunc("GET "+prefix+"/{id}", p.message)
	mux.HandleFunc("GET "+prefix+"/{id}/html", p.html)
	mux.HandleFunc("GET "+prefix+"/{id}/source", p.source)
	mux.HandleFunc("POST "+prefix+"/clear", func(w http.ResponseWriter, r *http.Request) {
		b.Clear()
		http.Redirect(w, r, prefix, http.StatusSeeOther)
	})
	mux.HandleFunc("GET "+prefix+".json", p.json)
	mux.HandleFunc("DELETE "+prefix+".json", func(w http.ResponseWriter, _ *http.Request) {
		b.Clear()
		w.WriteHeader(http.StatusNoContent)
	})
	sameOrigin := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		sameOrigin.ServeHTTP(w, r)
	})
}

type pageset struct {
	box    *Mailbox
	prefix string
}

func (p pageset) list(w http.ResponseWriter, r *http.Request) {
	to := r.URL.Query().Get("to")
	p.render(w, "list.html", map[string]any{"Prefix": p.prefix, "To": to, "Addr": p.box.Addr(), "Messages": p.box.Messages(to)})
}

func (p pageset) message(w http.ResponseWriter, r *http.Request) {
	if m, ok := p.find(w, r); ok {
		p.render(w, "message.html", map[string]any{"Prefix": p.prefix, "Message": m})
	}
}

func (p pageset) find(w http.ResponseWriter, r *http.Request) (Message, bool) {
	m, ok := p.box.find(r.PathValue("id"))
	if !ok {
		http.NotFound(w, r)
	}
	return m, ok
}

func (p pageset) render(w http.ResponseWriter, page string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = pages.ExecuteTemplate(w, page, data) // Fails where the browser hung up.
}

func (pageset) style(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, files, "pages/style.css")
}

var head = regexp.MustCompile(`(?i)<head(\s[^>]*)?>`)

// html serves the mail alone, for the frame. Nothing of it is rewritten, but for
// where its links open: in the frame they would be refused.
func (p pageset) html(w http.ResponseWriter, r *http.Request) {
	m, ok := p.find(w, r)
	if !ok {
		return
	}
	w.Header().Set("Content-Security-Policy", mailPolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	at := 0
	if found := head.FindStringIndex(m.HTML); found != nil {
		at = found[1]
	}
	_, _ = w.Write([]byte(m.HTML[:at] + `<base target="_blank">` + m.HTML[at:]))
}

func (p pageset) source(w http.ResponseWriter, r *http.Request) {
	if m, ok := p.find(w, r); ok {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(m.Source))
	}
}

func (p pageset) json(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"messages": p.box.Messages(r.URL.Query().Get("to"))}) // Fails where the client hung up.
}
