package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Seldom returns a logger that writes each message at most once in an interval,
// and then says how many it held back: for libraries that complain again and again
// while something is away. Messages must be few; attributes do not matter.
func Seldom(log *slog.Logger, interval time.Duration) *slog.Logger {
	return slog.New(seldom{log.Handler(), &repeated{interval: interval, now: time.Now, messages: map[string]*message{}}})
}

type seldom struct {
	slog.Handler
	*repeated
}

// Handle implements slog.Handler.
func (h seldom) Handle(ctx context.Context, r slog.Record) error {
	held, ok := h.pass(r.Message)
	if !ok {
		return nil
	}
	if held > 0 {
		r.AddAttrs(slog.Int("held_back", held))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h seldom) WithAttrs(attrs []slog.Attr) slog.Handler {
	return seldom{h.Handler.WithAttrs(attrs), h.repeated}
}

// WithGroup implements slog.Handler.
func (h seldom) WithGroup(name string) slog.Handler {
	return seldom{h.Handler.WithGroup(name), h.repeated}
}

// maxMessages bounds the memory for messages that turn out not to be few.
const maxMessages = 1000

type repeated struct {
	interval time.Duration
	now      func() time.Time

	mu       sync.Mutex
	messages map[string]*message
}

type message struct {
	next time.Time // when it may be written again
	held int
}

// pass reports whether a message may be written, and how many times it was not.
func (r *repeated) pass(text string) (held int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.messages[text]
	if m == nil {
		if len(r.messages) >= maxMessages {
			clear(r.messages)
		}
		m = &message{}
		r.messages[text] = m
	}
	now := r.now()
	if now.Before(m.next) {
		m.held++
		return 0, false
	}
	held, m.held, m.next = m.held, 0, now.Add(r.interval)
	return held, true
}
