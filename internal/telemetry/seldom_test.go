package telemetry

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		logs, out := newTestLogs(t, "info", nil)
		log := Seldom(logs.Logger("river"), time.Minute)
		other := log.With("a", 1).WithGroup("g")
		for range 100 {
			log.ErrorContext(t.Context(), "cannot fetch", "err", "refused")
			other.ErrorContext(t.Context(), "cannot fetch", "x", 2)
			log.DebugContext(t.Context(), "not written")
			time.Sleep(time.Second)
		}
		log.WarnContext(t.Context(), "something else")
		lines := out.lines(t)
		require.Len(t, lines, 3)
		require.NotContains(t, lines[0], "authservice.held_back")
		require.EqualValues(t, 119, lines[1]["authservice.held_back"], "of both loggers, within a minute")
		require.Equal(t, "something else", lines[2]["message"])

		time.Sleep(time.Hour)
		log.ErrorContext(t.Context(), "cannot fetch")
		require.EqualValues(t, 79, out.lines(t)[3]["authservice.held_back"])
	})
}

// Messages that turn out not to be few take no more memory than a thousand.
func TestSeldom_ManyMessages(t *testing.T) {
	t.Parallel()
	r := &repeated{interval: time.Hour, now: time.Now, messages: map[string]*message{}}
	for n := range 10 * maxMessages {
		_, ok := r.pass(fmt.Sprint(n))
		require.True(t, ok)
		require.LessOrEqual(t, len(r.messages), maxMessages)
	}
}
