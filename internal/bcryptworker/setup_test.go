package bcryptworker

import (
	"bytes"
	"log/slog"
	"os"
	"sync"
	"testing"
)

// working makes the test's program the process that works.
const working = "work"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == working {
		if err := Serve(os.Stdin, os.Stdout); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// newProcess returns one that is not running yet, and what it logs.
func newProcess(t *testing.T, program string) (*Process, *buffer) {
	t.Helper()
	log := &buffer{}
	return NewProcess(program, []string{working, t.Name()}, 2, slog.New(slog.NewJSONHandler(log, nil))), log
}

// buffer may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
