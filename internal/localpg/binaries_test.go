package localpg

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeBinaries makes a directory with programs that only know their version.
func fakeBinaries(t *testing.T, root, dir, version string, names ...string) {
	t.Helper()
	dir = filepath.Join(root, dir)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, name := range names {
		script := fmt.Sprintf("#!/bin/sh\necho '%s (PostgreSQL) %s'\n", name, version)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
}

func TestBinaries_Choose(t *testing.T) {
	t.Parallel()
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for dir, version := range map[string]string{
		"lib/9.6/bin": "9.6.24", "lib/14/bin": "14.11", "lib/16/bin": "16.2 (Debian 16.2-1)",
		"app/15/bin": "15.6", "path17": "17beta1", "path15": "15.1",
	} {
		fakeBinaries(t, root, dir, version, "postgres", "initdb")
	}
	fakeBinaries(t, root, "lib/18/bin", "18.0", "postgres")            // no initdb: a client package
	fakeBinaries(t, root, "lib/19/bin", "19.0", "initdb")              // no postgres
	fakeBinaries(t, root, "other", "x", "postgres", "initdb")          // something else of that name
	require.NoError(t, os.MkdirAll(filepath.Join(root, "bin"), 0o755)) // links, one of them dangling
	require.NoError(t, os.Symlink(filepath.Join(root, "gone", "postgres"), filepath.Join(root, "bin", "postgres")))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "links"), 0o755))
	require.NoError(t, os.Symlink("../path17/postgres", filepath.Join(root, "links", "postgres")))

	lib, app := filepath.Join(root, "lib/*/bin"), filepath.Join(root, "app/*/bin")
	for name, test := range map[string]struct {
		patterns []string
		path     []string
		major    int
		want     string // directory; "" for none
	}{
		"Newest":                 {patterns: []string{lib, app}, want: "lib/16/bin"},
		"NewestOfAllPlaces":      {patterns: []string{app, lib}, want: "lib/16/bin"},
		"ThatOfTheData":          {patterns: []string{lib, app}, major: 15, want: "app/15/bin"},
		"WellKnownBeforePath":    {patterns: []string{lib}, path: []string{"path17"}, want: "lib/16/bin"},
		"ThatOfTheDataOnPath":    {patterns: []string{lib}, path: []string{"path17"}, major: 17, want: "path17"},
		"PathInItsOrder":         {path: []string{"path15", "path17"}, want: "path15"},
		"LinkFollowed":           {path: []string{"links"}, want: "path17"},
		"DanglingLink":           {path: []string{"bin"}, want: ""},
		"DanglingLinkThenReal":   {path: []string{"bin", "links"}, want: "path17"},
		"MissingDirectoryOnPath": {path: []string{"nowhere", "path15"}, want: "path15"},
		"TooOld":                 {patterns: []string{filepath.Join(root, "lib/9.6/bin")}, want: ""},
		"TooOldEvenForTheData":   {patterns: []string{lib}, major: 9, want: ""},
		"Incomplete":             {patterns: []string{filepath.Join(root, "lib/1[89]/bin")}, want: ""},
		"NotPostgreSQL":          {path: []string{"other"}, want: ""},
		"OnlyAnotherVersion":     {patterns: []string{lib}, major: 17, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := "" // relative entries are not for us
			for _, dir := range test.path {
				path += string(filepath.ListSeparator) + filepath.Join(root, dir)
			}
			b, ok := choose(installed(t.Context(), account{}, test.patterns, path), test.major)
			require.Equal(t, test.want != "", ok)
			if ok {
				require.Equal(t, filepath.Join(root, test.want), b.dir)
			}
		})
	}
}

func TestBinaries_OtherVersionNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	err := otherVersion("/dev/data", 15, []binaries{{"/usr/17/bin", 17}, {"/usr/16/bin", 16}})
	require.ErrorContains(t, err, "/dev/data was made by PostgreSQL 15")
	require.ErrorContains(t, err, "PostgreSQL 17 in /usr/17/bin, PostgreSQL 16 in /usr/16/bin")
	require.ErrorContains(t, err, "install PostgreSQL 15 ("+installHint(15)+")")
}
