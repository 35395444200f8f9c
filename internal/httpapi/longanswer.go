package httpapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// longAnswerBuffer is how much of a long answer is sent at once, in bytes.
const longAnswerBuffer = 32 << 10

// answerLong writes an answer of any length while it is read. It may take as
// long as it goes on: to read each piece, and to send each, there is the time
// that a whole request has otherwise. Where it fails it is broken off, because
// by then there is no other way to tell, and half an answer must not look like a
// whole one; the log says so of what.
func (s *server) answerLong(ctx context.Context, w http.ResponseWriter, what string, write func(context.Context, io.Writer) error) {
	pace := s.o.RequestTimeout
	goingOn, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) { // the client has gone, not the request's time
			cancel()
		}
	})()
	timer := time.AfterFunc(pace, cancel)
	defer timer.Stop()

	gone := false
	control := http.NewResponseController(w)
	buffer := bufio.NewWriterSize(writerFunc(func(piece []byte) (int, error) {
		_ = control.SetWriteDeadline(time.Now().Add(pace)) // where none can be set, none passes
		n, err := w.Write(piece)
		gone = gone || err != nil
		return n, err
	}), longAnswerBuffer)
	err := write(goingOn, writerFunc(func(piece []byte) (int, error) {
		timer.Reset(pace)
		defer timer.Reset(pace)
		return buffer.Write(piece)
	}))
	if err == nil {
		err = buffer.Flush()
	}
	switch {
	case err == nil:
		return
	case gone, errors.Is(ctx.Err(), context.Canceled):
		s.o.Log.InfoContext(ctx, what+" was broken off by the client", "http.request.id", callOf(ctx).id, "client.gone", true)
	default:
		s.o.Log.ErrorContext(ctx, what+" was broken off", "http.request.id", callOf(ctx).id, "error.message", err.Error())
	}
	panic(http.ErrAbortHandler)
}

type writerFunc func([]byte) (int, error)

// Write implements io.Writer.
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
