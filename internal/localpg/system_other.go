//go:build !linux

package localpg

import (
	"os/exec"
	"strconv"
	"syscall"
)

// account is the user PostgreSQL runs as: here always our own.
type account struct{}

func serverAccount(string) (account, error) { return account{}, nil }

func (account) own(string) error { return nil }

// attr puts the process in a group of its own, so that a terminal's Ctrl-C
// arrives at us only. There is no way to have it die with us; the next start
// stops one that was left behind.
func (account) attr(lifetime, string) (*syscall.SysProcAttr, error) {
	return &syscall.SysProcAttr{Setpgid: true}, nil
}

// commandLine is how a process was started; empty when there is none.
func commandLine(pid int) string {
	out, err := exec.Command("ps", "-ww", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return string(out)
}
