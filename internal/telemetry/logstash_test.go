package telemetry

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// quick are times for tests: those that only cost time when they are long are
// short, and those that would take a slow machine for a broken one are not.
var quick = shipperTimes{
	dial: 10 * time.Second, write: 10 * time.Second, receipt: 10 * time.Second,
	gather: time.Millisecond, linger: 20 * time.Millisecond,
	backoff: time.Millisecond, longest: 20 * time.Millisecond, report: time.Hour,
}

// startShipper returns a shipper of which the test sees to the end.
func startShipper(t *testing.T, o LogstashOptions, times shipperTimes) *Logstash {
	t.Helper()
	if o.Queue == 0 {
		o.Queue = 4 << 20
	}
	l := newLogstash(o, times)
	l.start(discard)
	return l
}

// closeIn ends a shipper, and tells whether it could finish.
func closeIn(t *testing.T, l *Logstash, d time.Duration) (finished bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	l.Close(ctx)
	return ctx.Err() == nil
}

// write logs lines from to to, about 200 bytes each.
func write(t *testing.T, l *Logstash, from, to int) {
	t.Helper()
	padding := strings.Repeat("x", 180)
	for n := from; n < to; n++ {
		line := fmt.Sprintf(`{"n":%d,"padding":"%s"}`+"\n", n, padding)
		written, err := l.Write([]byte(line))
		require.NoError(t, err)
		require.Equal(t, len(line), written)
	}
}

func TestLogstash_Delivers(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, readsAll)
	l := startShipper(t, LogstashOptions{Addr: r.addr}, quick)
	for n := range 20 { // now and then, over many connections
		write(t, l, n*100, (n+1)*100)
		require.Eventually(t, func() bool { return l.Stats().Delivered == uint64(n+1)*100 }, eventually, aMoment)
		require.Zero(t, l.Stats().QueueBytes)
	}
	require.True(t, l.Stats().Up)
	require.True(t, closeIn(t, l, eventually))
	require.Equal(t, 2000, r.lines())
	require.Equal(t, 2000, r.total, "none came twice")
	require.Equal(t, LogstashStats{Delivered: 2000, Up: true}, l.Stats())
}

// What was logged just before the end arrives.
func TestLogstash_FlushesOnClose(t *testing.T) {
	t.Parallel()
	slow := quick
	slow.gather, slow.linger = time.Hour, time.Hour
	r := startReceiver(t, readsAll)
	l := startShipper(t, LogstashOptions{Addr: r.addr}, slow)
	write(t, l, 0, 5000)
	require.True(t, closeIn(t, l, eventually))
	require.Equal(t, 5000, r.lines())
	require.EqualValues(t, 5000, l.Stats().Delivered)

	idle := startShipper(t, LogstashOptions{Addr: r.addr}, slow)
	require.True(t, closeIn(t, idle, eventually), "with nothing to send there is nothing to wait for")
}

// Nobody listens: what does not fit into the queue is dropped at once, the rest
// when the time to flush is over.
func TestLogstash_Down(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, readsAll)
	r.stop()
	l := startShipper(t, LogstashOptions{Addr: r.addr, Queue: 100 << 10}, quick)
	write(t, l, 0, 10_000)
	stats := l.Stats()
	require.Positive(t, stats.Dropped)
	require.LessOrEqual(t, stats.QueueBytes, 100<<10)
	require.Eventually(t, func() bool { return l.Stats().Failures > 1 }, eventually, aMoment)
	require.False(t, l.Stats().Up)
	require.False(t, closeIn(t, l, 50*time.Millisecond))
	require.EqualValues(t, 10_000, l.Stats().Dropped)
	require.Zero(t, l.Stats().QueueBytes)
}

// What fitted is delivered when somebody listens again.
func TestLogstash_Reconnects(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, readsAll)
	r.stop()
	l := startShipper(t, LogstashOptions{Addr: r.addr}, quick)
	write(t, l, 0, 1000)
	require.Eventually(t, func() bool { return l.Stats().Failures > 2 }, eventually, aMoment)
	r.listen()
	require.Eventually(t, func() bool { return l.Stats().Delivered == 1000 && l.Stats().Up }, eventually, aMoment)
	require.True(t, closeIn(t, l, eventually))
	require.Equal(t, 1000, r.lines())
	require.Zero(t, l.Stats().Dropped)
}

// A receiver that takes connections and reads nothing holds up nobody but the
// shipper, and costs no more memory than the queue.
func TestLogstash_NeverReads(t *testing.T) { //nolint:paralleltest // measures memory
	impatient := quick
	impatient.write, impatient.receipt = 20*time.Millisecond, 20*time.Millisecond
	r := startReceiver(t, neverReads)
	l := startShipper(t, LogstashOptions{Addr: r.addr, Queue: 16 << 20}, impatient)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const n = 500_000 // 100 MB; would never end if Write waited
	write(t, l, 0, n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(50<<20))
	require.Eventually(t, func() bool { return l.Stats().Failures > 0 }, eventually, aMoment)

	require.False(t, closeIn(t, l, 50*time.Millisecond))
	require.Zero(t, l.Stats().Delivered)
	require.EqualValues(t, n, l.Stats().Dropped)
}

// received + dropped = sent, whatever happens to the connections.
func TestLogstash_LosesNothing(t *testing.T) {
	t.Parallel()
	for name, behave := range map[string]behaviour{
		"ResetsEvery100":  resetsAfter(100, false),
		"ResetsEvery7":    resetsAfter(7, false),
		"AlwaysResets":    resetsAfter(100, true),
		"ClosesEarly":     closesEarly(50),
		"ClosesAfterEach": closesEarly(1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReceiver(t, behave)
			l := startShipper(t, LogstashOptions{Addr: r.addr}, quick)
			const n = 2000
			for from := 0; from < n; from += 100 { // some while a connection is open, some while none is
				write(t, l, from, from+100)
				require.Eventually(t, func() bool { return r.lines() > from }, eventually, aMoment)
			}
			require.True(t, closeIn(t, l, 4*eventually))
			stats := l.Stats()
			require.Equal(t, n, r.lines()+int(stats.Dropped))
			require.EqualValues(t, r.lines(), stats.Delivered)
			require.Zero(t, stats.Dropped, "there was room")
			require.Positive(t, stats.Failures)
			t.Logf("%d lines came, %d of them again, over %d broken connections", r.total, r.total-n, stats.Failures)
		})
	}
	t.Run("Restarts", func(t *testing.T) {
		t.Parallel()
		r := startReceiver(t, readsAll)
		l := startShipper(t, LogstashOptions{Addr: r.addr}, quick)
		const n = 20
		for round := range n {
			write(t, l, round*200, round*200+100)
			r.stop()
			write(t, l, round*200+100, round*200+200)
			r.listen()
		}
		require.True(t, closeIn(t, l, eventually))
		require.Equal(t, n*200, r.lines()+int(l.Stats().Dropped))
		require.EqualValues(t, r.lines(), l.Stats().Delivered)
	})
	t.Run("TooMuch", func(t *testing.T) {
		t.Parallel()
		r := startReceiver(t, resetsAfter(100, false))
		l := startShipper(t, LogstashOptions{Addr: r.addr, Queue: 20 << 10}, quick)
		const n = 10_000
		write(t, l, 0, n)
		require.True(t, closeIn(t, l, eventually))
		require.Positive(t, l.Stats().Dropped)
		require.Equal(t, n, r.lines()+int(l.Stats().Dropped))
	})
}

// A receiver that never closes gets everything again and again, until the shipper
// is told to trust it.
func TestLogstash_Trust(t *testing.T) {
	t.Parallel()
	for _, trust := range []bool{false, true} {
		t.Run(fmt.Sprint(trust), func(t *testing.T) {
			t.Parallel()
			impatient := quick
			if !trust {
				impatient.receipt = 20 * time.Millisecond
			}
			r := startReceiver(t, neverCloses)
			l := startShipper(t, LogstashOptions{Addr: r.addr, Trust: trust}, impatient)
			write(t, l, 0, 100)
			if !trust {
				require.Eventually(t, func() bool { return l.Stats().Failures > 2 }, eventually, aMoment)
				require.Zero(t, l.Stats().Delivered)
				closeIn(t, l, 0)
				return
			}
			require.True(t, closeIn(t, l, eventually))
			require.EqualValues(t, 100, l.Stats().Delivered)
			require.Eventually(t, func() bool { return r.lines() == 100 }, eventually, aMoment)
			require.Equal(t, 100, r.total)
		})
	}
}

func TestLogstash_LineTooLong(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, readsAll)
	l := startShipper(t, LogstashOptions{Addr: r.addr}, quick)
	for _, length := range []int{maxLine + 1, maxLine} {
		_, _ = l.Write([]byte(`{"n":` + strings.Repeat(" ", length-len(`{"n":1}`)-1) + "1}\n"))
	}
	require.True(t, closeIn(t, l, eventually))
	require.EqualValues(t, 1, l.Stats().Dropped)
	require.Equal(t, 1, r.lines())
}

// Drops are told of once in an interval, and at the end.
func TestLogstash_ReportsDrops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		logs, out := newTestLogs(t, "info", nil)
		times := quick
		times.report = time.Minute
		l := newLogstash(LogstashOptions{Queue: 300}, times)
		l.log = logs.local()
		l.reports.Go(l.reportDrops)
		reported := func() (totals []any) {
			synctest.Wait()
			for _, line := range out.lines(t) {
				require.Equal(t, "warn", line["log.level"])
				require.NotContains(t, line, "event.sequence", "as it is not shipped")
				totals = append(totals, line["authservice.dropped"], line["authservice.dropped_total"])
			}
			return totals
		}
		write(t, l, 0, 11) // one fits
		require.Empty(t, reported())
		time.Sleep(time.Minute)
		require.Equal(t, []any{10.0, 10.0}, reported())
		time.Sleep(10 * time.Minute)
		require.Len(t, reported(), 2, "nothing new")
		write(t, l, 0, 5)
		time.Sleep(time.Minute)
		require.Equal(t, []any{10.0, 10.0, 5.0, 15.0}, reported())
		write(t, l, 0, 1)
		close(l.closed)
		l.reports.Wait()
		require.Equal(t, []any{10.0, 10.0, 5.0, 15.0, 1.0, 16.0}, reported())
	})
}

// One story is told in two lines.
func TestLogstash_TellsOfTrouble(t *testing.T) {
	t.Parallel()
	logs, out := newTestLogs(t, "info", nil)
	r := startReceiver(t, readsAll)
	r.stop()
	l := newLogstash(LogstashOptions{Addr: r.addr, Queue: 1 << 20}, quick)
	l.start(logs.local())
	write(t, l, 0, 10)
	require.Eventually(t, func() bool { return l.Stats().Failures > 3 }, eventually, aMoment)
	r.listen()
	require.True(t, closeIn(t, l, eventually))
	lines := out.lines(t)
	require.Len(t, lines, 2)
	require.Equal(t, "log lines cannot be shipped", lines[0]["message"])
	require.Contains(t, lines[0]["error.message"], "refused")
	require.Equal(t, "log lines are shipped again", lines[1]["message"])
}

// Tries are spread, and never more than the longest pause apart.
func TestShipperTimes_Pause(t *testing.T) {
	t.Parallel()
	require.Zero(t, defaultTimes.pause(1), "of a receiver that was just there")
	for failures, longest := range map[int]time.Duration{2: 100, 3: 200, 5: 800, 9: 10_000, 1000: 10_000} {
		longest *= time.Millisecond
		seen := map[time.Duration]bool{}
		for range 100 {
			d := defaultTimes.pause(failures)
			require.GreaterOrEqual(t, d, longest/2)
			require.LessOrEqual(t, d, longest)
			seen[d] = true
		}
		require.Greater(t, len(seen), 10)
	}
}
