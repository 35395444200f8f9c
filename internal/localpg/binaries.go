package localpg

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// minMajor is the oldest PostgreSQL that will do.
const minMajor = 14

// wellKnown is where packages put PostgreSQL's server binaries, which Debian
// and Homebrew keep off PATH.
var wellKnown = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// binaries is a directory that holds a working postgres and initdb.
type binaries struct {
	dir   string
	major int
}

func (b binaries) String() string { return fmt.Sprintf("PostgreSQL %d in %s", b.major, b.dir) }

// locator finds binaries of a major version; 0 means any.
type locator func(ctx context.Context, o Options, major int) (binaries, error)

// locate prefers what is installed and fetches a build only when nothing is.
func locate(ctx context.Context, o Options, major int) (binaries, error) {
	as, err := serverAccount(o.data())
	if err != nil {
		return binaries{}, err
	}
	found := installed(ctx, as, wellKnown, os.Getenv("PATH"))
	if b, ok := choose(found, major); ok {
		return b, nil
	}
	if major == 0 || major == npmMajor {
		return fetch(ctx, o, as)
	}
	return binaries{}, otherVersion(o.data(), major, found)
}

// installed lists the binaries that the patterns match, newest first, and then
// those on path in its order. What the account cannot run is left out.
func installed(ctx context.Context, as account, patterns []string, path string) []binaries {
	var found []binaries
	add := func(postgres string) {
		// Links are followed to where postgres really is: it finds its
		// libraries from there, and initdb must be next to it.
		real, err := filepath.EvalSymlinks(postgres)
		if err != nil {
			return
		}
		if b, err := inspect(ctx, as, filepath.Dir(real)); err == nil && !slices.Contains(found, b) {
			found = append(found, b)
		}
	}
	for _, pattern := range patterns {
		matches, _ := filepath.Glob(filepath.Join(pattern, "postgres"))
		for _, postgres := range matches {
			add(postgres)
		}
	}
	slices.SortStableFunc(found, func(a, b binaries) int { return b.major - a.major })
	for _, dir := range filepath.SplitList(path) {
		if filepath.IsAbs(dir) {
			add(filepath.Join(dir, "postgres"))
		}
	}
	return found
}

// choose takes the first that is recent enough and, unless major is 0, of that
// major version.
func choose(found []binaries, major int) (binaries, bool) {
	i := slices.IndexFunc(found, func(b binaries) bool {
		return b.major >= minMajor && (major == 0 || b.major == major)
	})
	if i < 0 {
		return binaries{}, false
	}
	return found[i], true
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inspect runs both binaries of dir to see that they work and which they are.
func inspect(ctx context.Context, as account, dir string) (binaries, error) {
	b := binaries{dir: dir}
	for _, name := range []string{"initdb", "postgres"} {
		cmd, err := as.command(ctx, outliveUs, "/", filepath.Join(dir, name), "--version")
		if err != nil {
			return b, err
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			return b, fmt.Errorf("%s in %s does not run: %w: %s", name, dir, err, lastLines(out, 3))
		}
		m := versionPattern.FindSubmatch(out)
		if m == nil {
			return b, fmt.Errorf("%s in %s is not PostgreSQL's", name, dir)
		}
		b.major, _ = strconv.Atoi(string(m[1]))
	}
	return b, nil
}

// otherVersion is the error for data that needs a version that is not here.
func otherVersion(data string, want int, found []binaries) error {
	here := "none is installed"
	if len(found) > 0 {
		names := make([]string, len(found))
		for i, b := range found {
			names[i] = b.String()
		}
		here = "installed is only " + strings.Join(names, ", ")
	}
	return fmt.Errorf("localpg: %s was made by PostgreSQL %d, but %s: install PostgreSQL %[2]d (%[4]s), or move that directory away to begin with an empty one",
		data, want, here, installHint(want))
}
