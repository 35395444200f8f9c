// Command specdiff fails when the contract breaks its clients in silence: it
// compares api/openapi.yaml as it is now with what has landed before, and wants a
// line in CHANGELOG.md for each operation that breaks. It is run in the root of
// the repository, and needs its history.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

const (
	contract  = "api/openapi.yaml"
	changelog = "CHANGELOG.md"
	oasdiff   = "github.com/oasdiff/oasdiff@v1.36.0"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "specdiff:", err)
		os.Exit(1)
	}
}

func run() error {
	found, err := bases(git)
	if err != nil {
		return err
	}
	log, err := os.ReadFile(changelog)
	if err != nil {
		return err
	}
	var undeclared []string
	for _, b := range found {
		breaks, err := compare(b.commit)
		if err != nil {
			return err
		}
		missing := undeclaredOf(breaks, declared(string(log), b.version))
		fmt.Printf("%s and %s (%.12s): %d breaking, %d of them not declared\n", contract, b.name, b.commit, len(breaks), len(missing))
		undeclared = append(undeclared, missing...)
	}
	if len(undeclared) > 0 {
		slices.Sort(undeclared)
		return fmt.Errorf("these changes break clients; undo them, or say so in %s, under [Unreleased], in a line such as\n"+
			"  - **Breaking:** `GET /v1/things` no longer answers `colour`; read `color`.\n\n%s",
			changelog, strings.Join(slices.Compact(undeclared), "\n"))
	}
	return nil
}

// base is a version of the contract that others may rely on.
type base struct{ name, commit, version string }

// bases are what the contract of now must fit: the newest release, or, as long
// as there is none, the first version that there was; and what landed last, which
// is where this branch left main, or on main itself the commit before.
func bases(git func(args ...string) (string, error)) ([]base, error) {
	var all []base
	if tag, err := git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"); err == nil {
		all = append(all, base{"the release " + tag, tag, strings.TrimPrefix(tag, "v")})
	} else if first, err := git("log", "--diff-filter=A", "--format=%H", "--", contract); err == nil && first != "" {
		commits := strings.Fields(first)
		all = append(all, base{name: "its first version", commit: commits[len(commits)-1]})
	}
	if shallow, err := git("rev-parse", "--is-shallow-repository"); err != nil || shallow == "true" {
		return nil, errors.New("the history of the repository is missing: git fetch --unshallow --tags")
	}
	head, err := git("rev-parse", "HEAD")
	if err != nil {
		return nil, err
	}
	last := ""
	for _, main := range []string{"origin/main", "main"} {
		if at, err := git("merge-base", "HEAD", main); err == nil && at != head {
			last = at
			break
		}
	}
	if last == "" {
		last, _ = git("rev-parse", "--verify", "--quiet", "HEAD^1")
	}
	if last != "" {
		if _, err := git("cat-file", "-e", last+":"+contract); err == nil {
			all = append(all, base{name: "what landed last", commit: last})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the history has no %s to compare with", contract)
	}
	return all, nil
}

func git(args ...string) (string, error) {
	out, err := exec.Command("git", args...).Output() //nolint:gosec,noctx // no one else's arguments; ends by itself
	return strings.TrimSpace(string(out)), err
}

// change is one that oasdiff takes for breaking.
type change struct {
	Text      string `json:"text"`
	Level     int    `json:"level"`
	Operation string `json:"operation"`
	Path      string `json:"path"`
}

// certain is the level of changes that break for certain. New values of an
// enumeration, which is one below, do not: ours are declared open.
const certain = 3

func compare(commit string) ([]change, error) {
	cmd := exec.Command("go", "run", oasdiff, "breaking", commit+":"+contract, contract, "--format", "json") //nolint:gosec,noctx // as above
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("oasdiff: %w\n%s", err, &problems)
	}
	var all []change
	if len(bytes.TrimSpace(out)) > 0 {
		if err := json.Unmarshal(out, &all); err != nil {
			return nil, fmt.Errorf("what oasdiff says: %w", err)
		}
	}
	return slices.DeleteFunc(all, func(c change) bool { return c.Level < certain }), nil
}

var operation = regexp.MustCompile("`([A-Z]+ /[^`]*)`")

// declared are the operations that the changelog, above the section of a version,
// says are broken.
func declared(log, version string) map[string]bool {
	if version != "" {
		log, _, _ = strings.Cut(log, "\n## ["+version+"]")
	}
	all := map[string]bool{}
	for line := range strings.Lines(log) {
		if strings.Contains(line, "**Breaking:**") {
			for _, o := range operation.FindAllStringSubmatch(line, -1) {
				all[o[1]] = true
			}
		}
	}
	return all
}

func undeclaredOf(breaks []change, declared map[string]bool) []string {
	var missing []string
	for _, c := range breaks {
		if o := c.Operation + " " + c.Path; !declared[o] {
			missing = append(missing, "  "+o+": "+c.Text)
		}
	}
	return missing
}
