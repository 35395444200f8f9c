package localpg

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// LockedError says that another process runs the cluster in Dir.
type LockedError struct {
	Dir string
	PID int // the other process; 0 when it has not said yet
}

func (e *LockedError) Error() string {
	holder := "another process"
	if e.PID != 0 {
		holder = "process " + strconv.Itoa(e.PID)
	}
	return fmt.Sprintf("localpg: %s is in use by %s: stop that one first, or choose another directory", e.Dir, holder)
}

// lockDir makes the directory ours, or fails with a *LockedError.
func lockDir(dir string) (*flock.Flock, error) {
	path := filepath.Join(dir, "lock")
	lock := flock.New(path)
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("localpg: lock %s: %w", dir, err)
	}
	if !ok {
		text, _ := os.ReadFile(path)
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return nil, &LockedError{Dir: dir, PID: pid}
	}
	// Written in place: the lock is on this very file.
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		_ = lock.Unlock()
		return nil, fmt.Errorf("localpg: lock %s: %w", dir, err)
	}
	return lock, nil
}
