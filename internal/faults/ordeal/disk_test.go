//go:build faults

package ordeal

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// disk is what the ledger's tables are on. Where we may mount, it is a small one
// of their own that really gets full. Elsewhere a trigger fails as PostgreSQL
// does then, with its SQLSTATE.
type disk struct {
	w     *world
	mount string // empty for the trigger
}

// mountSmallDisk returns where it is, or nothing where that is not allowed. It is
// seen by this process and its children only.
func mountSmallDisk(t *testing.T, dir string) string {
	t.Helper()
	require.NoError(t, os.Mkdir(dir, 0o755))
	if os.Getenv(apart) == "" || syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=90%") != nil {
		return ""
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func newDisk(w *world, mount string) *disk {
	w.t.Helper()
	d := &disk{w: w, mount: mount}
	if mount == "" {
		w.sql(`CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$`)
		return d
	}
	owner, err := os.Stat(w.pg.Dir())
	require.NoError(w.t, err)
	is, ok := owner.Sys().(*syscall.Stat_t)
	require.True(w.t, ok)
	dir := filepath.Join(mount, "tablespace")
	require.NoError(w.t, os.Mkdir(dir, 0o700))
	require.NoError(w.t, os.Chown(dir, int(is.Uid), int(is.Gid)))
	w.sql("CREATE TABLESPACE small LOCATION '"+dir+"'",
		"ALTER TABLE credit_transactions SET TABLESPACE small", "ALTER TABLE credit_hold_events SET TABLESPACE small", "ALTER TABLE idempotency_keys SET TABLESPACE small")
	return d
}

func (d *disk) String() string {
	if d.mount == "" {
		return "trigger"
	}
	return "tmpfs"
}

// fill leaves no room.
func (d *disk) fill() {
	if d.mount == "" {
		d.w.sql("SET lock_timeout = '10s'", "CREATE TRIGGER disk_full BEFORE INSERT ON credit_transactions EXECUTE FUNCTION disk_full()")
		return
	}
	var s syscall.Statfs_t
	require.NoError(d.w.t, syscall.Statfs(d.mount, &s))
	// What is written until then is room as well: the kernel refuses a size that is too small.
	for extra := int64(16); ; extra *= 2 {
		size := (int64(s.Blocks-s.Bfree) + extra) * s.Bsize
		err := syscall.Mount("tmpfs", d.mount, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", size))
		if err == nil {
			return
		}
		require.Less(d.w.t, extra, int64(1<<16), "%v", err)
	}
}

func (d *disk) free() {
	if d.mount == "" {
		d.w.sql("SET lock_timeout = '10s'", "DROP TRIGGER disk_full ON credit_transactions")
		return
	}
	require.NoError(d.w.t, syscall.Mount("tmpfs", d.mount, "tmpfs", syscall.MS_REMOUNT, "size=90%"))
}
