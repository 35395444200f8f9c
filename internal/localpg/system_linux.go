package localpg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// account is the user PostgreSQL runs as. The zero account is our own.
type account struct {
	name     string
	uid, gid int
}

// serverAccount is our own account unless we are root, whom PostgreSQL refuses:
// then it is the owner of the data, or postgres, or nobody.
func serverAccount(data string) (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	if !may(unix.CAP_SETUID) || !may(unix.CAP_SETGID) {
		return account{}, errors.New("localpg: PostgreSQL refuses to run as root, and this root may not become another user: run this as an ordinary user")
	}
	if info, err := os.Stat(data); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 {
			return account{"user " + strconv.Itoa(int(stat.Uid)), int(stat.Uid), int(stat.Gid)}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if errors.Join(err1, err2) == nil && uid != 0 {
			return account{name, uid, gid}, nil
		}
	}
	return account{}, errors.New("localpg: PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody to run it as: run this as an ordinary user")
}

// own gives the account a file of ours.
func (a account) own(path string) error {
	if a.uid == 0 {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}

// attr describes a process of the account that can reach dir. It is in a
// process group of its own, so that a terminal's Ctrl-C arrives at us only and
// we stop it in order. One that dies with us gets a fast shutdown from the
// kernel however we end.
func (a account) attr(life lifetime, dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if life == dieWithUs {
		attr.Pdeathsig = syscall.SIGINT
	}
	if a.uid == 0 {
		return attr, nil
	}
	attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	if a.shutOut(dir) {
		// Somewhere above is a directory such as a 0700 /root. It is not ours to
		// open, so the process is lent root's right to pass through instead.
		// Containers tend to withhold the first, which is the smaller one.
		switch {
		case may(unix.CAP_DAC_READ_SEARCH):
			attr.AmbientCaps = []uintptr{unix.CAP_DAC_READ_SEARCH}
		case may(unix.CAP_DAC_OVERRIDE):
			attr.AmbientCaps = []uintptr{unix.CAP_DAC_OVERRIDE}
		default:
			return nil, fmt.Errorf("localpg: PostgreSQL runs as %s here, who may not enter %s: choose a directory that everyone may enter, for example below /var/lib", a.name, dir)
		}
	}
	return attr, nil
}

// shutOut tells whether the account lacks the right to enter dir or one above.
func (a account) shutOut(dir string) bool {
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return true
		}
		bit := fs.FileMode(0o001)
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) == a.uid {
			bit = 0o100
		} else if ok && int(stat.Gid) == a.gid {
			bit = 0o010
		}
		if info.Mode()&bit == 0 {
			return true
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}

// may tells whether we have a capability: even root need not.
func may(capability uint) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData // of 32 capabilities each
	return unix.Capget(&header, &sets[0]) == nil && sets[capability/32].Permitted&(1<<(capability%32)) != 0
}

// commandLine is how a process was started; empty when there is none.
func commandLine(pid int) string {
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(string(args), "\x00", " ")
}
