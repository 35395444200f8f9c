// Command envexample writes .env.example and deploy/SETTINGS.md to the directory that
// it is given.
package main

import (
	"bytes"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/authservice/authservice/internal/config"
)

func main() {
	for name, write := range map[string]func(io.Writer) error{".env.example": config.WriteExample, "deploy/SETTINGS.md": config.WriteTable} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(os.Args[1], name), b.Bytes(), 0o644); err != nil { //nolint:gosec // for everybody to read
			log.Fatal(err)
		}
	}
}
