//go:build faults

package ordeal

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

// apart says that the process is in a mount namespace of its own.
const apart = "AUTHSERVICE_ORDEAL_APART"

// TestMain runs the tests in a mount namespace of their own where that is
// allowed, so that the disk that gets full is gone with them, however they end.
func TestMain(m *testing.M) {
	if os.Getenv(apart) == "" && os.Geteuid() == 0 {
		runtime.LockOSThread() // whose end would end the process
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Env = append(os.Environ(), apart+"=1")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Run(); !errors.Is(err, os.ErrPermission) {
			if err != nil {
				os.Exit(1)
			}
			return
		}
	}
	os.Exit(m.Run())
}
