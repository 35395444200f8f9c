package telemetry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// LogstashOptions say where lines are sent, and how.
type LogstashOptions struct {
	Addr  string      // host:port of a receiver of JSON lines
	TLS   *tls.Config // nil for plain TCP
	Queue int         // bytes of lines that may wait
	Trust bool        // take lines as received when they are sent; see Logstash
}

// Times of a shipper; tests have shorter ones.
type shipperTimes struct {
	dial    time.Duration // for a connection
	write   time.Duration // for one write
	receipt time.Duration // for the receiver to close what was closed
	gather  time.Duration // before more is written, so that it is more than a line
	linger  time.Duration // age at which a connection ends
	backoff time.Duration // after the first failure; doubles
	longest time.Duration // between two tries
	report  time.Duration // between two reports of drops
}

var defaultTimes = shipperTimes{
	dial: 5 * time.Second, write: 10 * time.Second, receipt: 10 * time.Second,
	gather: 100 * time.Millisecond, linger: 5 * time.Second,
	backoff: 100 * time.Millisecond, longest: 10 * time.Second, report: time.Minute,
}

const (
	mostLines  = 4096    // of one connection
	writeBytes = maxLine // of one write
)

// Logstash sends lines to a receiver over TCP, such as Logstash's tcp input with
// the codec json_lines. Write never waits: lines queue in a bounded piece of
// memory, and those that find it full are dropped and counted.
//
// TCP does not tell what a receiver has read of what was sent before a
// connection broke. So a connection carries some lines, for some seconds, and is
// then half closed; that the receiver, having come to the end, closes its half is
// the receipt. Lines without a receipt are sent again. So none is lost without being
// counted; one may come twice, and is known by its service.node.name and
// event.sequence. A receiver that breaks connections is given fewer lines in each,
// down to one, of which a break is the receipt.
//
// With Trust the receipt is not waited for: for receivers that do not close.
type Logstash struct {
	o     LogstashOptions
	times shipperTimes
	log   *slog.Logger
	queue *ring
	wake  chan struct{} // holds one when there may be lines

	closing chan struct{}   // closed when Close begins
	ctx     context.Context //nolint:containedctx // of the sender, which belongs to no caller
	abort   context.CancelFunc
	done    chan struct{} // closed when the sender has ended
	closed  chan struct{} // closed when all is counted
	reports sync.WaitGroup

	limit     int // lines of the next connection; the sender's own
	buffer    []byte
	delivered atomic.Uint64
	dropped   atomic.Uint64
	failures  atomic.Uint64
	up        atomic.Bool
}

func newLogstash(o LogstashOptions, times shipperTimes) *Logstash {
	l := &Logstash{
		o: o, times: times, queue: newRing(o.Queue), wake: make(chan struct{}, 1),
		closing: make(chan struct{}), done: make(chan struct{}), closed: make(chan struct{}), limit: mostLines, buffer: make([]byte, writeBytes),
	}
	l.ctx, l.abort = context.WithCancel(context.Background())
	return l
}

// start begins to send what is written. log hears what becomes of it, and must
// not lead back here. Close ends it.
func (l *Logstash) start(log *slog.Logger) {
	l.log = log
	l.reports.Go(l.reportDrops)
	go l.run()
}

// Write queues one line. It never fails and never waits.
func (l *Logstash) Write(line []byte) (int, error) {
	if !l.queue.put(line) {
		l.dropped.Add(1)
		return len(line), nil
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return len(line), nil
}

// Close sends what waits, until ctx ends; what is left then counts as dropped.
func (l *Logstash) Close(ctx context.Context) {
	close(l.closing)
	select {
	case <-l.done:
	case <-ctx.Done():
		l.abort()
		<-l.done
	}
	l.abort()
	length, lines := l.queue.waiting()
	l.queue.remove(length, lines)
	l.dropped.Add(uint64(lines)) //nolint:gosec // not negative
	close(l.closed)
	l.reports.Wait()
}

// LogstashStats are counts since the start, and what is now.
type LogstashStats struct {
	Delivered, Dropped uint64 // lines
	Failures           uint64 // connections that failed, or broke
	QueueBytes         int
	Up                 bool // the last connection did not fail
}

// Stats returns the counts.
func (l *Logstash) Stats() LogstashStats {
	length, _ := l.queue.waiting()
	return LogstashStats{Delivered: l.delivered.Load(), Dropped: l.dropped.Load(), Failures: l.failures.Load(), QueueBytes: length, Up: l.up.Load()}
}

func (l *Logstash) run() {
	defer close(l.done)
	log := Seldom(l.log, l.times.report) // a receiver that comes and goes is one story
	for failures := 0; l.awaitLines(); {
		err := l.ship()
		l.up.Store(err == nil)
		switch {
		case err == nil && failures > 0:
			log.InfoContext(l.ctx, "log lines are shipped again", "failures", failures)
			failures = 0
		case err != nil && l.ctx.Err() == nil:
			failures++
			l.failures.Add(1)
			log.WarnContext(l.ctx, "log lines cannot be shipped", "error", err)
			l.wait(l.times.pause(failures), nil)
		}
	}
}

// pause is how long to wait after so many failures in a row: after one that
// follows upon a success, not at all.
func (t shipperTimes) pause(failures int) time.Duration {
	if failures == 1 {
		return 0
	}
	longest := min(t.longest, t.backoff<<min(failures-2, 20))
	return longest/2 + rand.N(longest/2+1) //nolint:gosec // only spreads tries
}

// wait returns after a while, or earlier when stop is closed or l is aborted.
func (l *Logstash) wait(d time.Duration, stop <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stop:
	case <-l.ctx.Done():
	}
}

// awaitLines waits until there are lines. It returns false when there will be none.
func (l *Logstash) awaitLines() bool {
	for {
		if _, lines := l.queue.waiting(); lines > 0 {
			return l.ctx.Err() == nil
		}
		select {
		case <-l.wake:
		case <-l.closing:
			// What was written before Close is in the queue by now.
			_, lines := l.queue.waiting()
			return lines > 0
		}
	}
}

// ship sends lines over one connection. Those with a receipt leave the queue.
func (l *Logstash) ship() error {
	conn, err := l.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(l.ctx, func() { _ = conn.Close() })()
	length, lines, err := l.send(conn)
	if err == nil && !l.o.Trust {
		err = l.receipt(conn)
	}
	switch {
	case err == nil:
		l.limit = min(mostLines, l.limit+max(1, l.limit/8))
	case lines == 1 && errors.Is(err, errUnsure):
	default:
		l.limit = max(1, min(l.limit, lines)/4)
		return err
	}
	l.queue.remove(length, lines)
	l.delivered.Add(uint64(lines)) //nolint:gosec // not negative
	return nil
}

func (l *Logstash) dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.ctx, l.times.dial)
	defer cancel()
	if l.o.TLS != nil {
		return (&tls.Dialer{Config: l.o.TLS}).DialContext(ctx, "tcp", l.o.Addr)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", l.o.Addr)
}

// send writes what is in the queue and what comes, until the connection is old
// enough or has carried enough. After an error, lines are those that may have
// been received.
func (l *Logstash) send(conn net.Conn) (length, lines int, err error) {
	old := time.NewTimer(l.times.linger)
	defer old.Stop()
	for lines < l.limit {
		batch, n := l.queue.peek(l.buffer, length, l.limit-lines)
		length, lines = length+len(batch), lines+n
		if n > 0 {
			_ = conn.SetWriteDeadline(time.Now().Add(l.times.write)) // fails only where Write does
			if _, err := conn.Write(batch); err != nil {
				return length, lines, err
			}
			continue
		}
		select {
		case <-l.wake:
			l.wait(l.times.gather, l.closing)
		case <-old.C:
			return length, lines, nil
		case <-l.closing:
			return length, lines, nil
		}
	}
	return length, lines, nil
}

var (
	errTooEarly = errors.New("the receiver closed the connection before it had everything")
	errUnsure   = errors.New("the receiver broke the connection")
)

// receipt waits for the receiver to close the connection, having read it to its
// end. After errUnsure it has got everything, but may not have read it: it reset
// the connection, or closed it before it saw its end.
func (l *Logstash) receipt(conn net.Conn) error {
	tcp := conn
	secure, isTLS := conn.(*tls.Conn)
	if isTLS {
		tcp = secure.NetConn()
	}
	early := closedByPeer(tcp)
	type halfCloser interface{ CloseWrite() error } // TCP and TLS
	if err := conn.(halfCloser).CloseWrite(); err != nil && !early {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(l.times.receipt))
	_, err := io.Copy(io.Discard, conn)
	if isTLS && (err == nil || errors.Is(err, io.ErrUnexpectedEOF)) {
		_, err = io.Copy(io.Discard, tcp)
	}
	left := unacknowledged(tcp)
	reset := errors.Is(err, syscall.ECONNRESET)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the receiver did not close the connection, which is the receipt, within %s", l.times.receipt)
	case err != nil && !reset:
		return err
	case left > 1: // more than the end
		return errTooEarly
	case reset || early || left > 0:
		return errUnsure
	}
	return nil
}

// reportDrops tells of drops now and then.
func (l *Logstash) reportDrops() {
	ticks := time.NewTicker(l.times.report)
	defer ticks.Stop()
	for reported, open := uint64(0), true; open; {
		select {
		case <-ticks.C:
		case <-l.closed:
			open = false
		}
		if dropped := l.dropped.Load(); dropped > reported {
			l.log.WarnContext(l.ctx, "log lines were not shipped", "dropped", dropped-reported, "dropped_total", dropped)
			reported = dropped
		}
	}
}
