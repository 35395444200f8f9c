// Command envexample writes .env.example to the file it is given.
package main

import (
	"bytes"
	"log"
	"os"

	"github.com/authservice/authservice/internal/config"
)

func main() {
	var b bytes.Buffer
	if err := config.WriteExample(&b); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[1], b.Bytes(), 0o644); err != nil { //nolint:gosec // for everybody to read
		log.Fatal(err)
	}
}
