package authclient

import (
	"context"
	"io"
	"net/http"
	"time"
)

// SetClock changes the time by which the client's session is exchanged.
func (c *Client) SetClock(now func() time.Time) { c.caller.(*keeper).now = now }

// Stream gets a path as operations do whose answers are not kept in memory.
func (c *Client) Stream(ctx context.Context, path string) (io.ReadCloser, error) {
	req, err := http.NewRequest(http.MethodGet, c.server+path, nil)
	return c.stream(ctx, 0, req, err, nil)
}
