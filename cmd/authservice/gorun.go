package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// stopWithGoRun ends dev when it was started by `go run` and that is gone.
// go run is killed without passing the signal on, which would leave an orphan
// that holds the data directory and the port against the next start.
func stopWithGoRun(ctx context.Context, stop context.CancelFunc) {
	executable, err := os.Executable()
	if err != nil || !strings.Contains(filepath.ToSlash(executable), "/go-build") {
		return
	}
	parent := os.Getppid()
	go func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for os.Getppid() == parent {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
		stop()
	}()
}
