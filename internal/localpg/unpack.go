package localpg

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// unpack checks an npm archive against its integrity ("sha512-…") and unpacks
// the build it holds (package/native/…) to dir. Everyone may read and run the
// result, whatever our umask is: as root, the server runs as somebody else.
func unpack(archive, integrity, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha512.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != integrity {
		return fmt.Errorf("%s is not the archive we know: its hash is %s, not %s", filepath.Base(archive), got, integrity)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}

	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // refuses every path that leads out of dir
	if err != nil {
		return err
	}
	defer root.Close()
	if err := extract(f, root); err != nil {
		return err
	}
	return relink(root)
}

// extract writes the archive's files below root.
func extract(archive io.Reader, root *os.Root) error {
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		return err
	}
	if err := root.Chmod(".", 0o755); err != nil {
		return err
	}
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, ok := strings.CutPrefix(header.Name, "package/native/")
		if !ok || header.Typeflag == tar.TypeDir {
			continue
		}
		if header.Typeflag != tar.TypeReg {
			return fmt.Errorf("%s is neither a file nor a directory", header.Name)
		}
		if err := mkdirs(root, path.Dir(name)); err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if header.FileInfo().Mode()&0o100 != 0 {
			mode = 0o755
		}
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		if err := errors.Join(err, f.Chmod(mode), f.Close()); err != nil {
			return err
		}
	}
}

// mkdirs is root.MkdirAll with a mode that the umask does not narrow.
func mkdirs(root *os.Root, dir string) error {
	if _, err := root.Stat(dir); err == nil {
		return nil
	}
	if parent := path.Dir(dir); parent != dir {
		if err := mkdirs(root, parent); err != nil {
			return err
		}
	}
	return errors.Join(root.Mkdir(dir, 0o755), root.Chmod(dir, 0o755))
}

// relink makes the symbolic links, which npm cannot pack: the package lists them
// for its install script, which we do not run.
func relink(root *os.Root) error {
	text, err := root.ReadFile("pg-symlinks.json")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string } // target is the link, source the file
	if err := json.Unmarshal(text, &links); err != nil {
		return fmt.Errorf("pg-symlinks.json: %w", err)
	}
	for _, l := range links {
		source, ok1 := strings.CutPrefix(l.Source, "native/")
		target, ok2 := strings.CutPrefix(l.Target, "native/")
		if !ok1 || !ok2 || !filepath.IsLocal(source) || !filepath.IsLocal(target) {
			return fmt.Errorf("pg-symlinks.json: link %s to %s leads out of the package", l.Target, l.Source)
		}
		to, err := filepath.Rel(path.Dir(target), source)
		if err != nil {
			return err
		}
		if err := root.Symlink(to, target); err != nil {
			return err
		}
	}
	return nil
}
