package audit

import (
	"context"
	"net/netip"
)

// Source is where a request came from and in whose name.
type Source struct {
	Actor     Actor
	RequestID string
	IP        netip.Addr
	UserAgent string // printable and of bounded length
}

type sourceKey struct{}

// WithSource returns a context whose events have this source. A context without
// one is the service's own.
func WithSource(ctx context.Context, s Source) context.Context {
	return context.WithValue(ctx, sourceKey{}, s)
}

// SourceOf returns the source that the context carries.
func SourceOf(ctx context.Context) Source {
	if s, ok := ctx.Value(sourceKey{}).(Source); ok {
		return s
	}
	return Source{Actor: System}
}
