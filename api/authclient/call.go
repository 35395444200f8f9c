package authclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
)

// CallOption changes a single call.
type CallOption func(*call)

// WithIdempotencyKey names a call that moves credits, with 1 to 255 visible
// ASCII characters: whoever makes it again under the same name, whenever, gets
// the first answer, and nothing is applied twice. Without it each call gets a
// random name, and only its own retries are safe.
func WithIdempotencyKey(key string) CallOption { return func(c *call) { c.key = key } }

// WithRequestID sends X-Request-ID, 1 to 64 of A-Z a-z 0-9 . _ -, by which the
// request is found in the service's logs.
func WithRequestID(id string) CallOption { return func(c *call) { c.requestID = id } }

// ResponseHeader stores the header of the answer, of refusals too:
// Idempotent-Replayed, X-Request-ID.
func ResponseHeader(into *http.Header) CallOption { return func(c *call) { c.header = into } }

// traits are what is known of an operation.
type traits uint8

const (
	public     traits = 1 << iota // takes no credentials
	keyed                         // takes an Idempotency-Key
	repeatable                    // does no harm when it is sent twice
	streamed                      // has an answer too long to keep
)

// call is one call with all its tries.
type call struct {
	traits
	key, requestID string
	header         *http.Header
}

func (c *call) is(t traits) bool { return c.traits&t != 0 }

func (c *call) harm(method string) harm {
	switch {
	case method == http.MethodGet, method == http.MethodHead, c.is(keyed | repeatable):
		return noHarm
	case method == http.MethodPost && !c.is(public): // Who is not logged in yet makes nothing twice.
		return harms
	}
	return confuses
}

// fetch makes a call that returns something.
func fetch[T any](ctx context.Context, c *Client, t traits, req *http.Request, err error, opts []CallOption) (*T, error) {
	body, err := c.result(ctx, t, req, err, opts)
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		return nil, ErrAccepted
	}
	into := new(T)
	if err := json.Unmarshal(body, into); err != nil {
		return nil, fmt.Errorf("authclient: reading the answer to %s %s: %w", req.Method, req.URL.Path, err)
	}
	return into, nil
}

// send makes a call that returns nothing.
func (c *Client) send(ctx context.Context, t traits, req *http.Request, err error, opts []CallOption) error {
	_, err = c.result(ctx, t, req, err, opts)
	return err
}

// stream makes a call whose answer is read as it comes.
func (c *Client) stream(ctx context.Context, t traits, req *http.Request, err error, opts []CallOption) (io.ReadCloser, error) {
	r, err := c.do(ctx, t|streamed, req, err, opts)
	if err != nil {
		return nil, err
	}
	if r.StatusCode < 300 {
		return r.Body, nil
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return nil, refusal(r, body)
}

func (c *Client) result(ctx context.Context, t traits, req *http.Request, err error, opts []CallOption) ([]byte, error) {
	r, err := c.do(ctx, t, req, err, opts)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if r.StatusCode >= 300 {
		return nil, refusal(r, body)
	}
	return body, nil
}

// do sends a request until there is an answer, or no sense in another try. err
// is that of making the request.
func (c *Client) do(ctx context.Context, t traits, req *http.Request, err error, opts []CallOption) (*http.Response, error) {
	if err != nil {
		return nil, fmt.Errorf("authclient: making the request: %w", err)
	}
	call := call{traits: t}
	for _, opt := range opts {
		opt(&call)
	}
	if call.is(keyed) {
		if call.key == "" {
			call.key = uuid.NewString()
		}
		req.Header.Set("Idempotency-Key", call.key)
	}
	if call.requestID != "" {
		req.Header.Set("X-Request-ID", call.requestID)
	}
	r, err := c.tries(ctx, &call, req)
	if err == nil && call.header != nil {
		*call.header = r.Header
	}
	return r, err
}

func (c *Client) tries(ctx context.Context, call *call, req *http.Request) (*http.Response, error) {
	harm := call.harm(req.Method)
	renewed := false
	for attempts := 1; ; attempts++ {
		if attempts > 1 && req.GetBody != nil {
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			req.Body = body
		}
		used := ""
		if c.caller != nil && !call.is(public) {
			var err error
			if used, err = c.caller.authorize(ctx, req.Header); err != nil {
				return nil, err
			}
		}
		r, err := c.try(ctx, call, req)
		if err == nil && tokenRefused(r) && c.caller != nil && !renewed {
			renewed = true
			other, err := c.caller.renew(ctx, used)
			if err != nil {
				closeBody(r)
				return nil, err
			}
			if other {
				closeBody(r)
				attempts-- // The service has not looked at the request itself.
				continue
			}
		}
		if ctx.Err() != nil {
			return r, err
		}
		wait, more := c.retries.wait(attempts, harm, r, err)
		if !more || !sleep(ctx, wait) {
			return r, err
		}
		closeBody(r)
	}
}

// tokenRefused reports whether an answer says that the access token is not
// valid, or not any more (RFC 6750, section 3.1).
func tokenRefused(r *http.Response) bool {
	return r.StatusCode == http.StatusUnauthorized && strings.Contains(r.Header.Get("WWW-Authenticate"), `error="invalid_token"`)
}

// try sends a request once. Unless it is streamed the answer is read to its
// end, so that one that breaks off counts as lost.
func (c *Client) try(ctx context.Context, call *call, req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(c.timeout, func() { cancel(errTimeout) })
	r, err := c.http.Do(req.WithContext(ctx)) //nolint:gosec // where to is for the program to say that makes the client
	if err == nil && call.is(streamed) && r.StatusCode < 300 {
		timer.Stop() // What is left may take its time.
		r.Body = &stream{r.Body, func() { cancel(nil) }}
		return r, nil
	}
	defer cancel(nil)
	defer timer.Stop()
	if err == nil {
		var body []byte
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	if err != nil {
		if context.Cause(ctx) == errTimeout { //nolint:errorlint // nobody wraps it
			err = errTimeout
		} else if of, ok := errors.AsType[*url.Error](err); ok {
			err = of.Err // Without the URL, whose query may be personal.
		}
		return nil, fmt.Errorf("authclient: %s %s: %w", req.Method, req.URL.Path, err)
	}
	return r, nil
}

var errTimeout = errors.New("no answer in time")

// stream is a body that ends its request.
type stream struct {
	io.ReadCloser
	end func()
}

// Close implements io.Closer.
func (s *stream) Close() error {
	defer s.end()
	return s.ReadCloser.Close()
}

func closeBody(r *http.Response) {
	if r != nil {
		_ = r.Body.Close()
	}
}

// doer sends what the generated client makes.
type doer struct{ *Client }

// Do implements HttpRequestDoer.
func (d doer) Do(req *http.Request) (*http.Response, error) {
	var t traits
	if req.Header.Get("Idempotency-Key") != "" {
		t |= repeatable
	}
	return d.do(req.Context(), t, req, nil, nil)
}
