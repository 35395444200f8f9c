package authclient

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultTimeout is how long one try of a request may take.
const DefaultTimeout = 30 * time.Second

// Client calls the service in somebody's name. Make one with [New], once, and
// others from it with [Client.WithSession] and [Client.WithAccessToken]: they
// share its connections and cost nothing.
type Client struct {
	server  string // ends with a slash
	http    *http.Client
	timeout time.Duration
	retries Retries
	caller  credentials // nil for nobody
}

// Option changes how a [Client] works.
type Option func(*Client) error

// New returns a client of the service at baseURL, such as
// https://auth.example.com. A path is kept: a service behind
// https://example.com/auth works too. Without [WithAPIKey] it calls in nobody's
// name.
func New(baseURL string, opts ...Option) (*Client, error) {
	server, err := checkedURL(baseURL)
	if err != nil {
		return nil, err
	}
	c := &Client{
		server:  server + "/",
		timeout: DefaultTimeout,
		http: &http.Client{
			Transport: defaultTransport(),
			// Credentials go where they were meant to go, nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, opt := range opts {
		if err := opt(c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// checkedURL returns the URL without a slash at its end.
func checkedURL(baseURL string) (string, error) {
	u, err := url.Parse(baseURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("authclient: the base URL must be http(s)://host[:port][/path]")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// defaultTransport is net/http's, which keeps two idle connections to a host:
// a backend calls one host, and often.
func defaultTransport() http.RoundTripper {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport // Somebody has replaced it, and knows why.
	}
	t := standard.Clone()
	t.MaxIdleConnsPerHost = 64
	return t
}

// WithAPIKey makes the client call in the name of a backend. Errors: the key
// does not look like one.
func WithAPIKey(key string) Option {
	return func(c *Client) error {
		if !strings.HasPrefix(key, "ask_") || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return errors.New("authclient: an API key has the form ask_<id>_<secret>") // The key is a secret: not repeated.
		}
		c.caller = apiKey(key)
		return nil
	}
}

// WithTransport sends requests through t instead of a transport of its own: for
// tracing, a proxy, or certificates of your own.
func WithTransport(t http.RoundTripper) Option {
	return func(c *Client) error {
		c.http.Transport = t
		return nil
	}
}

// WithTimeout bounds each try of a request; see [DefaultTimeout]. A call, with
// all its tries, is bounded by its context.
func WithTimeout(d time.Duration) Option {
	return func(c *Client) error {
		if d <= 0 {
			return fmt.Errorf("authclient: a timeout of %s", d)
		}
		c.timeout = d
		return nil
	}
}

// WithRetries changes how often and when requests are tried again.
func WithRetries(r Retries) Option {
	return func(c *Client) error {
		c.retries = r
		return nil
	}
}

// WithAccessToken returns a client that calls in the name of the person whose
// access token this is, as long as it lasts: for a service that passes on what
// it was called with.
func (c *Client) WithAccessToken(token string) *Client { return c.as(bearer(token)) }

// as returns a client that differs in whom it calls for.
func (c *Client) as(caller credentials) *Client {
	other := *c
	other.caller = caller
	return &other
}

// Raw returns the generated client, with everything that this one does:
// credentials, retries, and an Idempotency-Key only if the request has one.
// Refusals are answers there, not errors.
func (c *Client) Raw() *ClientWithResponses {
	return &ClientWithResponses{&RawClient{Server: c.server, Client: doer{c}}}
}
