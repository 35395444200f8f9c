package config

import (
	"cmp"
	"net/url"
	"strings"
	"unicode"
)

// LinkPattern is where mailed links lead to: a URL with {token} and, unless all
// links lead to one page, {page} in it, which is verify-email or reset-password.
// It comes from AUTH_FRONTEND_URL or, where that is empty, from AUTH_PUBLIC_URL,
// and never from a request. What they leave out is /{page} and #token={token}.
func (c *Config) LinkPattern() string {
	pattern := cmp.Or(c.FrontendURL, c.PublicURL)
	if !strings.ContainsAny(pattern, "{}") {
		pattern = strings.TrimRight(pattern, "/") + "/{page}"
	}
	if !strings.Contains(pattern, "{token}") {
		pattern += "#token={token}"
	}
	return pattern
}

// HidesLinkTokens tells whether the tokens of links stand in the fragment, which
// no server sees.
func (c *Config) HidesLinkTokens() bool {
	_, fragment, _ := strings.Cut(c.LinkPattern(), "#")
	return strings.Contains(fragment, "{token}")
}

func (c *Config) checkLinks(p *problems) {
	if c.FrontendURL == "" {
		return // AUTH_PUBLIC_URL is checked as what it is
	}
	const name = "AUTH_FRONTEND_URL"
	pattern := c.LinkPattern()
	fill := func(page, token string) (url.URL, bool) {
		return webURL(strings.NewReplacer("{page}", page, "{token}", token).Replace(pattern))
	}
	link, ok := fill("verify-email", "avet_0")
	other, _ := fill("reset-password", "aset_1")
	switch {
	case !ok:
		p.add(name, "must be a URL such as https://app.example.com or https://app.example.com/account/{page}#token={token}")
	case link.Host != other.Host:
		p.add(name, "must have {page} and {token} behind the host")
	case strings.Count(pattern, "{token}") != 1, strings.Count(pattern, "#") > 1, !strings.ContainsAny(c.FrontendURL, "{}") && strings.Contains(c.FrontendURL, "?"):
		p.add(name, "must say where {token} stands, once")
	default:
		c.mustBeHTTPS(p, link, name)
	}
}

func (c *Config) mustBeHTTPS(p *problems, u url.URL, name string) {
	p.must(c.Env != Production || u.Scheme == "https" || loopback(u.Hostname()), name, "must be https in production")
}

// webURL reads a URL that browsers open.
func webURL(text string) (_ url.URL, ok bool) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return url.URL{}, false
	}
	odd := func(r rune) bool { return r <= ' ' || r > unicode.MaxASCII || strings.ContainsRune("{}<>\"'`", r) }
	return *u, !strings.ContainsFunc(text, odd)
}
