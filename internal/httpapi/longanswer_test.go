package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pipeListener has clients in memory, so that time can be that of synctest.
type pipeListener struct{ conns chan net.Conn }

func (l pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l pipeListener) Close() error {
	close(l.conns)
	return nil
}

func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{} }

// longAnswer is a client's connection to a service that answers with what write
// writes, and gives each piece, as each request, ten seconds.
type longAnswer struct {
	*http.Response
	t     *testing.T
	conn  net.Conn
	logs  *bytes.Buffer
	ended chan struct{} // when the service has done with it
}

func beginLongAnswer(t *testing.T, write func(context.Context, io.Writer) error) *longAnswer {
	t.Helper()
	a := &longAnswer{t: t, logs: &bytes.Buffer{}, ended: make(chan struct{})}
	s := &server{o: Options{RequestTimeout: 10 * time.Second, Log: slog.New(slog.NewTextHandler(a.logs, nil))}}
	listener := pipeListener{conns: make(chan net.Conn, 1)}
	service := &http.Server{ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(a.ended)
		ctx, cancel := context.WithTimeout(r.Context(), s.o.RequestTimeout)
		defer cancel()
		s.answerLong(ctx, w, "a test", write)
	})}
	served := make(chan error)
	go func() { served <- service.Serve(listener) }()

	var accepted net.Conn
	a.conn, accepted = net.Pipe()
	listener.conns <- accepted
	_, err := io.WriteString(a.conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	a.Response, err = http.ReadResponse(bufio.NewReaderSize(a.conn, 16), nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = a.conn.Close()
		<-a.ended
		_ = service.Close()
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	return a
}

const pieces = 200

func writePieces(_ context.Context, w io.Writer) error {
	for range pieces {
		if _, err := w.Write(make([]byte, longAnswerBuffer)); err != nil {
			return err
		}
	}
	return nil
}

// readSlowly counts the bytes of an answer; each piece of it takes some seven seconds.
func readSlowly(t *testing.T, body io.Reader) (bytes int) {
	t.Helper()
	for part := make([]byte, longAnswerBuffer/8); ; time.Sleep(900 * time.Millisecond) {
		n, err := body.Read(part)
		bytes += n
		if errors.Is(err, io.EOF) {
			return bytes
		}
		require.NoError(t, err)
	}
}

// A slow client gets all of an answer, however long that takes.
func TestLongAnswer_ForASlowClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := beginLongAnswer(t, writePieces)
		began := time.Now()
		require.Equal(t, pieces*longAnswerBuffer, readSlowly(t, a.Body))
		require.Greater(t, time.Since(began), 10*time.Minute)
		require.Empty(t, a.logs.String())
	})
}

// A slow database may bring all of an answer, as long as it brings something,
// to a slow client too.
func TestLongAnswer_ThatIsReadSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := beginLongAnswer(t, func(ctx context.Context, w io.Writer) error {
			for range pieces {
				select {
				case <-time.After(6 * time.Second):
				case <-ctx.Done():
					return ctx.Err()
				}
				if _, err := w.Write(make([]byte, longAnswerBuffer)); err != nil {
					return err
				}
			}
			return nil
		})
		require.Equal(t, pieces*longAnswerBuffer, readSlowly(t, a.Body))
		require.Empty(t, a.logs.String())
	})
}

// requireCutOff reads all that there is, which must not look complete.
func (a *longAnswer) requireCutOff() {
	_, err := io.Copy(io.Discard, a.Body)
	require.ErrorIs(a.t, err, io.ErrUnexpectedEOF)
}

func (a *longAnswer) readSome(bytes int) {
	_, err := io.ReadFull(a.Body, make([]byte, bytes))
	require.NoError(a.t, err)
}

// What stands still is broken off, and does not look complete.
func TestLongAnswer_BreaksOff(t *testing.T) {
	t.Parallel()
	stuck := func(ctx context.Context, w io.Writer) error {
		_, _ = w.Write(make([]byte, 2*longAnswerBuffer))
		<-ctx.Done()
		return ctx.Err()
	}
	for _, test := range []struct {
		name  string
		write func(context.Context, io.Writer) error
		read  func(*longAnswer)
		took  time.Duration // from the beginning until the service has done with it
		log   string
	}{
		{"Service", stuck, (*longAnswer).requireCutOff, 10 * time.Second, "level=ERROR"},
		{"Failure", func(_ context.Context, w io.Writer) error {
			_, _ = w.Write(make([]byte, 2*longAnswerBuffer))
			return errors.New("the disk is gone")
		}, (*longAnswer).requireCutOff, 0, "the disk is gone"},
		{"ClientThatStops", writePieces, func(a *longAnswer) { a.readSome(1) }, 10 * time.Second, "level=INFO"},
		{"ClientThatGoes", stuck, func(a *longAnswer) {
			a.readSome(2 * longAnswerBuffer)
			require.NoError(a.t, a.conn.Close())
		}, 0, "level=INFO"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				a := beginLongAnswer(t, test.write)
				test.read(a)
				<-a.ended
				require.Equal(t, test.took, time.Since(began))
				require.Contains(t, a.logs.String(), test.log)
			})
		})
	}
}
