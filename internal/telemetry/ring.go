package telemetry

import (
	"bytes"
	"sync"
)

// maxLine is the longest line that is shipped, in bytes.
const maxLine = 256 << 10

// ring is a queue of lines in a fixed number of bytes. Positions count all bytes
// since the start. Lines are read from any position, and stay until they are
// removed, so that they can be read again.
type ring struct {
	mu    sync.Mutex
	bytes []byte // used anew from the start whenever the queue is empty
	head  int    // where the oldest line begins
	tail  int    // where the next line will
	lines int
}

func newRing(size int) *ring { return &ring{bytes: make([]byte, size)} }

// put adds a line, with its line break, or reports that there is no room for it.
func (r *ring) put(line []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.head == r.tail {
		r.head, r.tail = 0, 0 // what is seldom filled keeps to few pages of memory
	}
	if len(line) > maxLine || r.tail-r.head+len(line) > len(r.bytes) {
		return false
	}
	copy(r.bytes, line[copy(r.bytes[r.tail%len(r.bytes):], line):])
	r.tail += len(line)
	r.lines++
	return true
}

// peek copies whole lines into b, those after skip bytes and at most so many, and
// returns the part of b that it filled.
func (r *ring) peek(b []byte, skip, most int) (lines []byte, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := r.head + skip
	b = b[:min(len(b), r.tail-from)]
	copy(b[copy(b, r.bytes[from%len(r.bytes):]):], r.bytes)
	end := 0
	for n < most {
		length := bytes.IndexByte(b[end:], '\n') + 1
		if length == 0 {
			break
		}
		end += length
		n++
	}
	return b[:end], n
}

// remove forgets the oldest lines.
func (r *ring) remove(length, lines int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.head += length
	r.lines -= lines
}

// waiting is what is in the queue.
func (r *ring) waiting() (length, lines int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tail - r.head, r.lines
}
