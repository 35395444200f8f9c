package authclient

import (
	"context"
	"net/http"
)

// credentials say in whose name a request is sent.
type credentials interface {
	// authorize puts them on a request, and returns what renew wants to know.
	authorize(ctx context.Context, h http.Header) (used string, err error)
	// renew is called when the service took them for invalid, and reports
	// whether there are others to try.
	renew(ctx context.Context, used string) (bool, error)
}

type apiKey string

func (k apiKey) authorize(_ context.Context, h http.Header) (string, error) {
	h.Set("X-API-Key", string(k))
	return "", nil
}

func (apiKey) renew(context.Context, string) (bool, error) { return false, nil }

type bearer string

func (b bearer) authorize(_ context.Context, h http.Header) (string, error) {
	h.Set("Authorization", "Bearer "+string(b))
	return "", nil
}

func (bearer) renew(context.Context, string) (bool, error) { return false, nil }
