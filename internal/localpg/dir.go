package localpg

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// DefaultDir makes and returns the directory for the cluster called name:
// /var/lib/authservice/<name> for root, else $XDG_STATE_HOME/authservice/<name>
// or ~/.local/state/authservice/<name>. An account without a usable home gets a
// private directory below os.TempDir.
func DefaultDir(name string) (string, error) {
	base := os.Getenv("XDG_STATE_HOME")
	if home, err := os.UserHomeDir(); err == nil && !filepath.IsAbs(base) {
		base = filepath.Join(home, ".local", "state")
	}
	if os.Geteuid() == 0 {
		base = "/var/lib"
	}
	return ownDir(base, os.TempDir(), name)
}

// cacheDir is DefaultDir for things that can be fetched again.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = ""
	}
	if os.Geteuid() == 0 {
		base = "/var/cache"
	}
	dir, err := ownDir(base, os.TempDir(), "")
	if err == nil && os.Geteuid() == 0 && filepath.Dir(dir) == base {
		// The server's account runs what is in there, whatever root's umask is.
		err = os.Chmod(dir, 0o755)
	}
	return dir, err
}

// ownDir makes <base>/authservice/<name>, or when base is of no use a directory
// below temp that nobody else can have prepared for us.
func ownDir(base, temp, name string) (string, error) {
	if filepath.IsAbs(base) {
		dir := filepath.Join(base, "authservice", name)
		if os.MkdirAll(dir, 0o755) == nil && unix.Access(dir, unix.W_OK|unix.X_OK) == nil { //nolint:gosec // the user's own XDG_STATE_HOME or HOME
			return dir, nil
		}
	}
	private := filepath.Join(temp, "authservice-"+strconv.Itoa(os.Geteuid()))
	if err := os.Mkdir(private, 0o700); err != nil && !os.IsExist(err) {
		return "", fmt.Errorf("localpg: no usable home directory, and no room in the temporary one: %w", err)
	}
	info, err := os.Lstat(private)
	if err != nil {
		return "", fmt.Errorf("localpg: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("localpg: %s is not a private directory of ours (owner only): remove it, or set HOME to a directory that you can write to", private)
	}
	dir := filepath.Join(private, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("localpg: %w", err)
	}
	return dir, nil
}
