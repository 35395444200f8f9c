//go:build faults

package ordeal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/faults"
)

// slot is the place of a replica: processes in it follow each other.
type slot struct {
	w       *world
	network *faults.Network // to PostgreSQL
	clock   *atomic.Int64   // by how much it is wrong there, ns
	file    string          // that has it
	starts  int

	mu      sync.Mutex
	current *replica
}

// replica is one process.
type replica struct {
	slot        *slot
	cmd         *exec.Cmd
	url, opsURL string
	ready       chan struct{} // closed once it is
	exited      chan struct{}
	expected    atomic.Bool // its end is
	tail        tail
}

// newSlot is one whose clock is right.
func (w *world) newSlot(number int) *slot {
	w.t.Helper()
	s := &slot{w: w, network: faults.NewNetwork(w.t, w.pg.Addr()), file: filepath.Join(w.dir, fmt.Sprintf("clock-%d", number))}
	file, err := os.OpenFile(s.file, os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(w.t, err)
	defer file.Close()
	require.NoError(w.t, file.Truncate(8))
	shared, err := syscall.Mmap(int(file.Fd()), 0, 8, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	require.NoError(w.t, err)
	s.clock = (*atomic.Int64)(unsafe.Pointer(unsafe.SliceData(shared)))
	return s
}

// start brings a replica up, as a supervisor does: one that ends before it is
// ready, because there is no database, is begun again.
func (s *slot) start() *replica {
	for began := time.Now(); s.w.ctx.Err() == nil; {
		r := s.launch()
		select {
		case <-r.ready:
			s.mu.Lock()
			s.current = r
			s.mu.Unlock()
			s.w.balancer.Add(r.url)
			go r.watch()
			return r
		case <-r.exited:
			require.Less(s.w.t, time.Since(began), 2*time.Minute, "a replica does not start:\n%s", &r.tail)
			time.Sleep(100 * time.Millisecond) // between two starts
		case <-time.After(time.Minute):
			_ = r.cmd.Process.Kill()
			s.w.score.violate("a replica does not become ready:\n%s", &r.tail)
		}
	}
	s.w.t.Error("the ordeal ended before a replica was ready")
	runtime.Goexit()
	return nil
}

// launch starts a process, which ends when this one does.
func (s *slot) launch() *replica {
	r := &replica{slot: s, ready: make(chan struct{}), exited: make(chan struct{})}
	r.cmd = exec.Command(s.w.program, "serve")
	r.cmd.Dir = s.w.dir
	r.cmd.Env = append(slices.Clone(s.w.environ), "DATABASE_URL="+s.w.pg.URL(s.network.Addr()), "AUTHSERVICE_FAULTS_CLOCK="+s.file)
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	reader, writer := io.Pipe()
	r.cmd.Stdout, r.cmd.Stderr = writer, writer
	go r.follow(reader)
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // whose end would end the process
		defer runtime.UnlockOSThread()
		err := r.cmd.Start()
		started <- err
		if err == nil {
			_ = r.cmd.Wait()
		}
		_ = writer.Close()
		close(r.exited)
	}()
	require.NoError(s.w.t, <-started)
	s.w.processes.add(r)
	s.starts++
	return r
}

// follow reads the log: where the replica is, once it is ready, and the
// checkpoints that are to be kept outside the database.
func (r *replica) follow(log io.Reader) {
	lines := bufio.NewReaderSize(log, 64<<10)
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		switch {
		case bytes.Contains(text, []byte(`"message":"ready"`)):
			var line struct {
				URL    string `json:"authservice.url"`
				OpsURL string `json:"authservice.ops_url"`
			}
			if json.Unmarshal(text, &line) == nil {
				r.url, r.opsURL = line.URL, line.OpsURL
				close(r.ready)
			}
		case bytes.Contains(text, []byte(`"message":"ledger checkpoint"`)):
			_, _ = r.slot.w.checkpoints.Write(text)
		case bytes.Contains(text, []byte(`"log.level":"error"`)), !bytes.HasPrefix(text, []byte("{")):
			r.tail.add(text)
		}
	}
}

// watch sees to it that the replica does not end by itself.
func (r *replica) watch() {
	<-r.exited
	if !r.expected.Load() {
		r.slot.w.score.violate("a replica ended by itself, %s:\n%s", r.cmd.ProcessState, &r.tail)
	}
}

// kill ends it at once.
func (r *replica) kill() {
	r.expected.Store(true)
	_ = r.cmd.Process.Kill()
	<-r.exited
}

// stop tells it to end, and says how it did.
func (r *replica) stop(ctx context.Context) {
	r.expected.Store(true)
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.exited:
		if code := r.cmd.ProcessState.ExitCode(); code != 0 {
			r.slot.w.score.violate("a replica was told to stop, and ended with %s:\n%s", r.cmd.ProcessState, &r.tail)
		}
	case <-ctx.Done():
	case <-time.After(90 * time.Second):
		r.slot.w.score.violate("a replica was told to stop, and did not:\n%s", &r.tail)
		r.kill()
	}
}

func (s *slot) replica() *replica {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// processes are all that were started.
type processes struct {
	mu  sync.Mutex
	all []*replica
}

func (p *processes) add(r *replica) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, r)
}

// end leaves none of them.
func (p *processes) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.all {
		r.kill()
	}
}

// tail is the end of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) >= 15 {
		t.lines = t.lines[1:]
	}
	t.lines = append(t.lines, string(line))
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprint(t.lines)
}
