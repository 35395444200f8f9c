package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// devService is an `authservice dev` of our own.
type devService struct {
	BaseURL          string `json:"base_url"`
	APIKey           string `json:"api_key"`
	OwnerDatabaseURL string `json:"owner_database_url"`

	binary, dir string
	temporary   string // what is removed in the end
	pid         int
	stop        func()
}

const servicePackage = "github.com/authservice/authservice/cmd/authservice"

// startDev builds the service, unless binary names one, and runs it as
// `authservice dev` on a private PostgreSQL. dir is where that keeps its data;
// empty for a temporary directory.
func startDev(ctx context.Context, binary, dir string, say func(string)) (_ *devService, err error) {
	temporary, err := os.MkdirTemp("", "authbench-")
	if err != nil {
		return nil, err
	}
	d := &devService{binary: binary, dir: dir, temporary: temporary, stop: func() {}}
	defer func() {
		if err != nil {
			d.remove()
		}
	}()
	// PostgreSQL may run as another user and must pass.
	if err := os.Chmod(temporary, 0o711); err != nil { //nolint:gosec // see above
		return nil, err
	}
	if dir == "" {
		d.dir = filepath.Join(temporary, "dev")
	}
	if binary == "" {
		say("building the service")
		d.binary = filepath.Join(temporary, "authservice")
		build := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", d.binary, servicePackage) //nolint:gosec // ours
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the service (start authbench in its source, or give --binary): %w\n%s", err, out)
		}
	}
	say("starting the service on a private PostgreSQL")
	return d, d.start(ctx)
}

// start runs the service until stop.
func (d *devService) start(ctx context.Context) error {
	log, err := os.Create(filepath.Join(d.temporary, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	// It must outlive ctx: it is stopped when the measurements are.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), d.binary, "dev", "--json") //nolint:gosec // the program to measure
	cmd.Env = append(slices.DeleteFunc(os.Environ(), isDatabaseURL),
		"AUTH_DEV_DIR="+d.dir, "AUTH_HTTP_ADDR=127.0.0.1:0", "AUTH_OPS_ADDR=127.0.0.1:0", "AUTH_RATE_LIMIT_ENABLED=false",
		"AUTH_ACCESS_TOKEN_TTL=24h") // Longer than anybody measures.
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = in, log, dieWithUs()
	exited, err := spawn(cmd)
	_ = in.Close()
	if err != nil {
		return fmt.Errorf("starting the service: %w", err)
	}
	d.pid = cmd.Process.Pid
	d.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-exited:
		case <-time.After(time.Minute):
			_ = cmd.Process.Kill()
			<-exited
		}
	})
	giveUp := context.AfterFunc(ctx, d.stop)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, d)
	}
	if !giveUp() {
		err = context.Cause(ctx)
	}
	if err != nil {
		d.stop()
		return fmt.Errorf("starting the service: %w\n%s", err, tail(log.Name()))
	}
	return nil
}

// remove stops the service and removes what is not to be kept.
func (d *devService) remove() {
	d.stop()
	_ = os.RemoveAll(d.temporary)
}

func isDatabaseURL(setting string) bool { return strings.HasPrefix(setting, "DATABASE_URL=") }

// tail is the end of a log.
func tail(file string) string {
	text, _ := os.ReadFile(file)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// midwife starts processes on a thread that lives as long as we do: the kernel
// takes the end of the thread that started a child for our end (dieWithUs).
var midwife = sync.OnceValue(func() chan<- func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
})

// spawn starts cmd and tells when it has ended.
func spawn(cmd *exec.Cmd) (exited <-chan struct{}, err error) {
	started, done := make(chan error), make(chan struct{})
	midwife() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	return done, nil
}
