package bcryptworker

import (
	"context"
	"io"
	"log/slog"
	"net/rpc"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// Process is a process that works.
type Process struct {
	program string
	args    []string
	slots   int
	log     *slog.Logger
	client  atomic.Pointer[rpc.Client] // nil while it does not run
}

// NewProcess returns one that Run starts: program, which with args calls Serve for
// its standard input and output. It can do as much work at once as there are slots.
func NewProcess(program string, args []string, slots int, log *slog.Logger) *Process {
	return &Process{program: program, args: args, slots: slots, log: log}
}

// Do has the process work. What that cannot do because it is gone is done here, at
// the priority of the caller. Errors: those of Work.Do.
func (p *Process) Do(w Work) (r Result, err error) {
	if client := p.client.Load(); client != nil && client.Call("Worker.Do", w, &r) == nil {
		return r, nil
	}
	return w.Do()
}

// Delays before a process that has ended is started again; they double as long as
// it does not live longer than the longest.
const (
	minDelay = time.Second
	maxDelay = time.Minute
)

// Run keeps the process running until ctx ends.
func (p *Process) Run(ctx context.Context) {
	for delay := minDelay; ; delay = min(2*delay, maxDelay) {
		began := time.Now()
		err := p.live(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > maxDelay {
			delay = minDelay
		}
		p.log.WarnContext(ctx, "the process that hashes passwords is gone; until it is started again, they are hashed beside requests", "error", err, "delay", delay)
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
	}
}

// live is the life of one process.
func (p *Process) live(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, p.program, p.args...) //nolint:gosec // our own
	cmd.Args[0] = os.Args[0]                              // For who lists processes.
	// One processor more than work is done on, to answer and to be asked.
	cmd.Env = []string{"GOMAXPROCS=" + strconv.Itoa(p.slots+1)}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is not for it, and see giveWay.
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	client := rpc.NewClient(struct {
		io.Reader
		io.WriteCloser
	}{out, in})
	p.client.Store(client)
	err = cmd.Wait()
	p.client.Store(nil)
	_ = client.Close() // Nobody waits for an answer any more.
	return err
}
