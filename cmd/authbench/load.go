package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// script is what one connection does. Its methods are called in turn.
type script interface {
	// next returns the bytes of the next request, valid until its next call.
	next() []byte
	// answered is told what became of it.
	answered(answer)
}

// load is a closed loop: so many connections, each of which sends its next
// request when the last one is answered.
type load struct {
	endpoint    endpoint
	connections int
	// pace is how many requests are sent each second, by all connections
	// together; 0 for as many as are answered.
	pace     float64
	warmup   time.Duration
	duration time.Duration
	grace    time.Duration // how long answers may take that are due in the end
	script   func(connection int) script
	// started and ended are called at the ends of what is measured.
	started, ended func()
	// progress is told now and then what came of it so far; nil for nobody.
	progress func(elapsed time.Duration, done, failed int64)

	phase atomic.Int32
}

// The phases of a load.
const (
	warming int32 = iota
	measuring
	finished
)

// worker is one connection of a load.
type worker struct {
	*load
	script  script
	conn    *conn
	samples *samples
	begin   time.Time
	first   time.Duration // when it sends its first request
	// Read by the one who reports.
	done, failed atomic.Int64
}

// run puts the load on. When ctx ends it returns early, with ctx's error.
func (l *load) run(parent context.Context) (*samples, error) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	workers := make([]*worker, l.connections)
	for i := range workers {
		c, err := l.endpoint.dial(ctx)
		if err != nil {
			closeAll(workers[:i])
			return nil, fmt.Errorf("connecting to the service: %w", err)
		}
		workers[i] = &worker{load: l, script: l.script(i), conn: c, samples: newSamples()}
		if l.pace > 0 {
			workers[i].first = time.Duration(float64(i) / l.pace * float64(time.Second))
		}
	}
	defer closeAll(workers)

	var group sync.WaitGroup
	begin := time.Now()
	for _, w := range workers {
		w.begin = begin
		group.Go(func() { w.work(ctx) })
	}
	seconds := l.direct(ctx, workers)
	defer time.AfterFunc(l.grace, cancel).Stop()
	group.Wait()
	total := newSamples()
	for _, w := range workers {
		total.add(w.samples)
	}
	total.seconds = seconds
	return total, parent.Err()
}

// direct begins and ends the phases of a load. It returns how long was measured.
func (l *load) direct(ctx context.Context, workers []*worker) float64 {
	l.watch(ctx, workers, l.warmup)
	l.started()
	begin := time.Now()
	l.phase.Store(measuring)
	l.watch(ctx, workers, l.warmup+l.duration)
	l.phase.Store(finished)
	took := time.Since(begin)
	l.ended()
	return took.Seconds()
}

// watch reports progress until so long after the beginning.
func (l *load) watch(ctx context.Context, workers []*worker, until time.Duration) {
	begin := workers[0].begin
	end := time.After(time.Until(begin.Add(until)))
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end:
			return
		case <-tick.C:
			if l.progress == nil {
				continue
			}
			var done, failed int64
			for _, w := range workers {
				done += w.done.Load()
				failed += w.failed.Load()
			}
			l.progress(time.Since(begin), done, failed)
		}
	}
}

func (w *worker) work(ctx context.Context) {
	for number := 0; ; number++ {
		sent, more := w.wait(ctx, number)
		if !more || w.phase.Load() == finished {
			return
		}
		a, err := w.conn.do(w.script.next())
		if ctx.Err() != nil {
			return
		}
		took := time.Since(w.begin) - sent
		measured := w.phase.Load() == measuring
		switch {
		case err != nil:
			w.failed.Add(1)
			if measured {
				w.samples.broken[reason(err)]++
			}
			if !w.reconnect(ctx) {
				return
			}
			continue
		case a.status < 200 || a.status > 299:
			w.failed.Add(1)
			if measured {
				w.samples.statuses[a.status]++
			}
		default:
			w.done.Add(1)
			if measured {
				w.samples.done++
				_ = w.samples.latency.RecordValue(min(max(1, took.Microseconds()), longest.Microseconds()))
			}
		}
		w.script.answered(a)
		if w.conn.closing && !w.reconnect(ctx) {
			return
		}
	}
}

// wait waits until the next request is due. It returns the time from which its
// answer is waited for: when it was due although the last answer came later,
// because whoever sends requests at a pace does not wait for others' answers;
// but not the time by which we overslept.
func (w *worker) wait(ctx context.Context, number int) (sent time.Duration, more bool) {
	now := time.Since(w.begin)
	if w.pace == 0 {
		return now, ctx.Err() == nil
	}
	due := w.first + time.Duration(float64(number)*float64(w.connections)/w.pace*float64(time.Second))
	if now >= due {
		return due, ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return 0, false
	case <-time.After(due - now):
		return time.Since(w.begin), true
	}
}

// reconnect tries until the load is over.
func (w *worker) reconnect(ctx context.Context) bool {
	w.conn.close()
	for w.phase.Load() != finished {
		c, err := w.endpoint.dial(ctx)
		if err == nil {
			w.conn = c
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
	return false
}

// reason is an error without what differs from connection to connection.
func reason(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

func closeAll(workers []*worker) {
	for _, w := range workers {
		w.conn.close()
	}
}
