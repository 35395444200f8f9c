package localpg

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOwnDir(t *testing.T) {
	t.Parallel()
	private := "authservice-" + strconv.Itoa(os.Geteuid())

	t.Run("Base", func(t *testing.T) {
		t.Parallel()
		base, temp := t.TempDir(), t.TempDir()
		dir, err := ownDir(base, temp, "dev")
		require.NoError(t, err)
		require.Equal(t, filepath.Join(base, "authservice", "dev"), dir)
		require.DirExists(t, dir)
	})
	for name, base := range map[string]string{
		"NoBase": "", "RelativeBase": "state", "BaseCannotBeMade": "/dev/null/home",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			temp := t.TempDir()
			for range 2 { // the second time it is there already
				dir, err := ownDir(base, temp, "dev")
				require.NoError(t, err)
				require.Equal(t, filepath.Join(temp, private, "dev"), dir)
			}
			info, err := os.Stat(filepath.Join(temp, private))
			require.NoError(t, err)
			require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
		})
	}
	t.Run("PreparedBySomebodyElse", func(t *testing.T) {
		t.Parallel()
		open, link := t.TempDir(), t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(open, private), 0o700))
		require.NoError(t, os.Chmod(filepath.Join(open, private), 0o777))
		require.NoError(t, os.Symlink(t.TempDir(), filepath.Join(link, private)))
		for _, temp := range []string{open, link} {
			_, err := ownDir("", temp, "dev")
			require.ErrorContains(t, err, "not a private directory")
		}
	})
}
