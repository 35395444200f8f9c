package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/authservice/authservice/internal/localpg"
	"github.com/authservice/authservice/internal/tokens"
)

// devState is what dev makes up on its first start and needs on the next: all
// secrets, in a file that only its owner can read.
type devState struct {
	OwnerPassword   string `json:"owner_password"`
	RuntimePassword string `json:"runtime_password"`
	EncryptionKey   string `json:"encryption_key"`
	AdminPassword   string `json:"admin_password"`
	UserPassword    string `json:"user_password"`
	APIKey          string `json:"api_key,omitempty"`

	dir  string
	path string
}

// openDevDir makes the directory of AUTH_DEV_DIR, or the usual one, and reads
// or makes up the state in it.
func openDevDir(dir string) (*devState, error) {
	if dir == "" {
		usual, err := localpg.DefaultDir("dev")
		if err != nil {
			return nil, err
		}
		dir = usual
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("AUTH_DEV_DIR: %w", err)
	}
	// PostgreSQL may run as another user and must pass; the files in it are private.
	if err := os.MkdirAll(dir, 0o711); err != nil { //nolint:gosec // see above
		return nil, fmt.Errorf("AUTH_DEV_DIR: %w", err)
	}
	return loadDevState(dir)
}

func loadDevState(dir string) (*devState, error) {
	s := &devState{dir: dir, path: filepath.Join(dir, "dev.json")}
	content, err := os.ReadFile(s.path)
	if err == nil {
		if err := json.Unmarshal(content, s); err != nil {
			return nil, fmt.Errorf("%s is damaged; remove %s to start afresh", s.path, dir)
		}
		return s, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("AUTH_DEV_DIR: %w", err)
	}
	s.OwnerPassword, s.RuntimePassword = rand.Text(), rand.Text()
	s.AdminPassword, s.UserPassword = rand.Text(), rand.Text()
	s.EncryptionKey = base64.StdEncoding.EncodeToString(tokens.NewSecret())
	return s, s.save()
}

// save replaces the file as a whole, so that a crash leaves the old or the new one.
func (s *devState) save() error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", s.path, err)
	}
	next := s.path + ".next"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return fmt.Errorf("AUTH_DEV_DIR: %w", err)
	}
	return os.Rename(next, s.path)
}

// defaults are the settings of dev where the environment has none. The database
// is not known yet, but required.
func (s *devState) defaults() []string {
	return []string{
		"AUTH_ENV=development",
		"AUTH_HTTP_ADDR=127.0.0.1:8080",
		"AUTH_ENCRYPTION_KEY=" + s.EncryptionKey,
		"DATABASE_URL=postgres://127.0.0.1/to-be-started",
	}
}
