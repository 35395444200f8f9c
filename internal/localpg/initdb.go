package localpg

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// superuser is the role initdb makes.
const superuser = "postgres"

// dataMajor is the major version that made the data directory; 0 when there is
// none yet.
func dataMajor(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("localpg: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("localpg: %s does not hold PostgreSQL data: %w", data, err)
	}
	return major, nil
}

// readPassword returns the superuser's password, which initialise made up.
func readPassword(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "password"))
	if err != nil {
		return "", fmt.Errorf("localpg: the cluster's password is lost (%w): restore it, or move %s away to begin with an empty cluster", err, dir)
	}
	return string(text), nil
}

// initialise makes the data directory. It works in a directory next to it and
// renames at the end, so an interruption leaves no half-made cluster; what one
// did leave is swept away by the next.
func initialise(ctx context.Context, o Options, bin binaries, as account) error {
	o.Progress(fmt.Sprintf("initialising PostgreSQL %d in %s", bin.major, o.data()))
	leftovers, _ := fs.Glob(os.DirFS(o.Dir), "init-*")
	for _, name := range leftovers {
		_ = os.RemoveAll(filepath.Join(o.Dir, name))
	}
	work, err := os.MkdirTemp(o.Dir, "init-")
	if err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	defer os.RemoveAll(work)

	// The account reads its own copy: ours is not for it.
	secret := []byte(rand.Text())
	pwfile := filepath.Join(work, "password")
	if err := errors.Join(
		os.WriteFile(filepath.Join(o.Dir, "password"), secret, 0o600),
		os.WriteFile(pwfile, secret, 0o600), as.own(pwfile), as.own(work),
	); err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	data := filepath.Join(work, "data")
	args := []string{"-D", data, "-U", superuser, "--pwfile", pwfile,
		"--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"}
	if !o.Durable {
		args = append(args, "--no-sync")
	}
	for _, locale := range []string{"C.UTF-8", "C"} { // the first is not known everywhere
		err = initdb(ctx, bin, as, o.Dir, append(args, "--locale="+locale)...)
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return err
	}
	if err := os.Rename(data, o.data()); err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	return nil
}

// initdb runs the program, which works below dir. It dies with us, and at once
// when ctx ends.
func initdb(ctx context.Context, bin binaries, as account, dir string, args ...string) error {
	cmd, err := as.command(ctx, dieWithUs, dir, filepath.Join(bin.dir, "initdb"), args...)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	runtime.LockOSThread() // see spawn
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		if out.Len() > 0 {
			err = fmt.Errorf("initdb: %w: %s", err, lastLines(out.Bytes(), 10))
		}
		return startError(errors.Join(err, ctx.Err()), dir)
	}
	return nil
}
