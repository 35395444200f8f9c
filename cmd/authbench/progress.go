package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress tells a person what is being done: on a terminal in a line that is
// written over, elsewhere in a new line now and then.
type progress struct {
	w        io.Writer
	terminal bool

	mu   sync.Mutex
	last time.Time
	open bool // the line on the terminal has no end yet
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w}
	if f, ok := w.(*os.File); ok {
		p.terminal = term.IsTerminal(int(f.Fd()))
	}
	return p
}

// say tells of a new step.
func (p *progress) say(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
	fmt.Fprintln(p.w, what)
	p.last = time.Now()
}

// update tells how far a step is, unless it did just now.
func (p *progress) update(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pause := 2 * time.Second
	if p.terminal {
		pause = 100 * time.Millisecond
	}
	if time.Since(p.last) < pause {
		return
	}
	p.last = time.Now()
	if !p.terminal {
		fmt.Fprintln(p.w, "  "+what)
		return
	}
	fmt.Fprint(p.w, "\r\x1b[K  "+what)
	p.open = true
}

// done ends the line that update wrote.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
}

func (p *progress) end() {
	if p.open {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.open = false
	}
}

// bar draws how much of something is done.
func bar(done, of float64) string {
	const width = 24
	full := int(width * min(1, max(0, done/max(of, 1e-9))))
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}
