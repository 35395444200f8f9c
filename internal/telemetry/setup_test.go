package telemetry

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What tests wait for takes moments; a machine that is busy is given time.
const (
	eventually = 30 * time.Second
	aMoment    = 5 * time.Millisecond
)

var someService = Service{Name: "authservice", Version: "v1.2.3", Environment: "staging", Node: "host-1"}

// newTestLogs returns logs at a level and what they write.
func newTestLogs(t *testing.T, levels string, change func(*LogOptions)) (*Logs, *lockedBuffer) {
	t.Helper()
	l, err := NewLevels(levels)
	require.NoError(t, err)
	out := &lockedBuffer{}
	o := LogOptions{Service: someService, Levels: l, Out: out}
	if change != nil {
		change(&o)
	}
	return NewLogs(o), out
}

// lockedBuffer collects what several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// lines reads JSON lines.
func (l *lockedBuffer) lines(t *testing.T) (lines []map[string]any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader([]byte(l.String())))
	for {
		var line map[string]any
		err := decoder.Decode(&line)
		if err == io.EOF {
			return lines
		}
		require.NoError(t, err)
		lines = append(lines, line)
	}
}

// discard is a logger that nobody hears.
var discard = slog.New(slog.DiscardHandler)
