// Package queries holds the SQL of the service as it was written, for tools that
// measure or check it. The service itself uses what is generated from it.
package queries

import (
	"embed"
	"fmt"
	"regexp"
	"strings"
)

//go:embed *.sql
var files embed.FS

// What is sqlc's and not SQL.
var (
	name    = regexp.MustCompile(`(?m)^-- name: (\w+) :\w+\n`)
	comment = regexp.MustCompile(`(?m)^\s*--.*\n`)
	nullArg = regexp.MustCompile(`sqlc\.narg\((\w+)\)`)
	columns = regexp.MustCompile(`sqlc\.embed\((\w+)\)`)
)

// Named returns a query by its name, without its comments and without the
// semicolon, as PostgreSQL takes it but for its parameters, which read @name.
func Named(wanted string) (string, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		text, err := files.ReadFile(entry.Name())
		if err != nil {
			return "", err
		}
		if query, found := find(string(text), wanted); found {
			return query, nil
		}
	}
	return "", fmt.Errorf("queries: there is no query %s", wanted)
}

func find(text, wanted string) (string, bool) {
	heads := name.FindAllStringSubmatchIndex(text, -1)
	for i, head := range heads {
		if text[head[2]:head[3]] != wanted {
			continue
		}
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		query := comment.ReplaceAllString(text[head[1]:end], "")
		query = nullArg.ReplaceAllString(query, "@$1")
		query = columns.ReplaceAllString(query, "$1.*")
		return strings.TrimSuffix(strings.TrimSpace(query), ";"), true
	}
	return "", false
}
