package bcryptworker

import (
	"errors"
	"io"
	"net/rpc"
	"os"
	"strconv"
	"syscall"
	"time"
)

// niceness leaves a tenth of a processor that others want as well.
const niceness = 10

// Worker is the service of the process.
type Worker struct{}

// Do is what it can be asked.
func (Worker) Do(w Work, r *Result) (err error) {
	*r, err = w.Do()
	return err
}

// Serve gives way to all other processes and works until in ends, with the process
// that asks.
func Serve(in io.Reader, out io.Writer) error {
	giveWay()
	server := rpc.NewServer()
	if err := server.Register(Worker{}); err != nil {
		return err
	}
	server.ServeConn(struct {
		io.ReadCloser
		io.Writer
	}{io.NopCloser(in), out})
	return nil
}

// giveWay is best effort: what cannot give way works all the same.
func giveWay() {
	// On Linux, which knows priorities of threads, this is for all in the group.
	_ = syscall.Setpriority(syscall.PRIO_PGRP, 0, niceness)
	// Linux may group what began in one session and share out the processors among
	// those first (autogroup, sched(7)). Of all unprivileged processes one is let
	// through every 100 ms.
	go func() {
		for errors.Is(os.WriteFile("/proc/self/autogroup", []byte(strconv.Itoa(niceness)), 0), syscall.EAGAIN) {
			time.Sleep(100 * time.Millisecond)
		}
	}()
}
