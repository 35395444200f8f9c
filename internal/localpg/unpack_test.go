package localpg

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// archive writes an npm archive and returns its path and integrity.
func archive(t *testing.T, headers []tar.Header, content string) (path, integrity string) {
	t.Helper()
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	w := tar.NewWriter(zipped)
	for _, h := range headers {
		if h.Typeflag == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(content))
		}
		require.NoError(t, w.WriteHeader(&h))
		if h.Typeflag == tar.TypeReg {
			_, err := w.Write([]byte(content))
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	require.NoError(t, zipped.Close())
	path = filepath.Join(t.TempDir(), "package.tgz")
	require.NoError(t, os.WriteFile(path, packed.Bytes(), 0o600))
	sum := sha512.Sum512(packed.Bytes())
	return path, "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	// The same content serves every file; it is a list of links for the one that
	// needs to be one.
	links := `[{"source":"native/lib/libpq.so.5.17","target":"native/lib/libpq.so"}]`
	path, integrity := archive(t, []tar.Header{
		{Name: "package/package.json", Mode: 0o644},
		{Name: "package/native/bin/", Mode: 0o700, Typeflag: tar.TypeDir},
		{Name: "package/native/bin/postgres", Mode: 0o700},
		{Name: "package/native/lib/libpq.so.5.17", Mode: 0o600},
		{Name: "package/native/pg-symlinks.json", Mode: 0o644},
	}, links)
	dir := filepath.Join(t.TempDir(), "pg")
	require.NoError(t, unpack(path, integrity, dir))

	for name, mode := range map[string]fs.FileMode{
		".": 0o755, "bin": 0o755, "bin/postgres": 0o755, "lib/libpq.so.5.17": 0o644,
	} {
		info, err := os.Lstat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), name)
	}
	to, err := os.Readlink(filepath.Join(dir, "lib/libpq.so"))
	require.NoError(t, err)
	require.Equal(t, "libpq.so.5.17", to)
	require.NoFileExists(t, filepath.Join(dir, "package.json"))
}

func TestUnpack_Refuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		headers []tar.Header
		content string
		says    string
	}{
		"ParentPath":   {headers: []tar.Header{{Name: "package/native/../../../evil"}}, says: "escapes"},
		"AbsolutePath": {headers: []tar.Header{{Name: "package/native//evil"}}},
		"Symlink":      {headers: []tar.Header{{Name: "package/native/x", Typeflag: tar.TypeSymlink, Linkname: "/etc"}}, says: "neither"},
		"HardLink":     {headers: []tar.Header{{Name: "package/native/x", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}}, says: "neither"},
		"TwoOfOneName": {headers: []tar.Header{{Name: "package/native/x"}, {Name: "package/native/x"}}, says: "exists"},
		"LinkToOutside": {headers: []tar.Header{{Name: "package/native/pg-symlinks.json"}},
			content: `[{"source":"native/../../evil","target":"native/x"}]`, says: "leads out"},
		"LinkFromOutside": {headers: []tar.Header{{Name: "package/native/pg-symlinks.json"}},
			content: `[{"source":"native/x","target":"native/../evil"}]`, says: "leads out"},
		"LinkOutsideNative": {headers: []tar.Header{{Name: "package/native/pg-symlinks.json"}},
			content: `[{"source":"/etc/passwd","target":"native/x"}]`, says: "leads out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, integrity := archive(t, test.headers, test.content)
			parent := t.TempDir()
			err := unpack(path, integrity, filepath.Join(parent, "a", "pg"))
			require.Error(t, err, "the parent is missing")
			require.NoError(t, os.Mkdir(filepath.Join(parent, "a"), 0o755))

			err = unpack(path, integrity, filepath.Join(parent, "a", "pg"))
			require.ErrorContains(t, err, test.says)
			for _, outside := range []string{filepath.Join(parent, "evil"), filepath.Join(parent, "a", "evil"), "/evil"} {
				_, err := os.Lstat(outside)
				require.ErrorIs(t, err, fs.ErrNotExist)
			}
		})
	}
}

func TestUnpack_WrongHash(t *testing.T) {
	t.Parallel()
	path, _ := archive(t, []tar.Header{{Name: "package/native/x"}}, "")
	_, another := archive(t, []tar.Header{{Name: "package/native/y"}}, "")
	dir := filepath.Join(t.TempDir(), "pg")
	require.ErrorContains(t, unpack(path, another, dir), "not the archive we know")
	require.NoDirExists(t, dir)
}
