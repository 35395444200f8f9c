package pgdb

import "context"

// Together hears of work that is done for several callers at once, whose contexts
// it is given: it returns the context to work with, and what to call when the work
// is done, before its callers go on. It is for logs and traces; nil for nobody.
type Together func(ctx context.Context, callers []context.Context) (context.Context, func())

// Begin calls f, if there is one.
func (f Together) Begin(ctx context.Context, callers []context.Context) (context.Context, func()) {
	if f == nil {
		return ctx, func() {}
	}
	return f(ctx, callers)
}
