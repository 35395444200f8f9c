package schema_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/schema"
)

// firstRelease is the version up to which migrations could take things away,
// because nothing had been released that would miss them.
const firstRelease = "20261201000000"

// While a release is rolled out, the one before it runs on the new schema. So
// migrations only add. What takes away waits for a later release, and says why
// nobody misses it in a line of its own:
//
//	-- previous release: has not read this column since 1.4
const excuse = "-- previous release: "

func TestMigrations_OnlyAdd(t *testing.T) {
	t.Parallel()
	for name, sql := range migrations(t) {
		up, _, _ := strings.Cut(sql, "-- migrate:down")
		if name[:len(firstRelease)] > firstRelease && !strings.Contains(up, excuse) {
			require.Empty(t, takesAway(up), name)
		}
	}
}

func TestMigrations_Form(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^\d{14}_[a-z0-9_]+\.sql$`)
	versions := map[string]bool{}
	for name, sql := range migrations(t) {
		require.Regexp(t, form, name)
		require.False(t, versions[name[:14]], "%s has the version of another", name)
		versions[name[:14]] = true
		up, down, found := strings.Cut(sql, "-- migrate:down")
		require.True(t, found && strings.HasPrefix(up, "-- migrate:up"), name)
		require.NotEmpty(t, strings.TrimSpace(down), "%s cannot be undone", name)
	}
}

func migrations(t *testing.T) map[string]string {
	t.Helper()
	files, err := schema.Migrations.ReadDir("migrations")
	require.NoError(t, err)
	all := map[string]string{}
	for _, f := range files {
		sql, err := schema.Migrations.ReadFile("migrations/" + f.Name())
		require.NoError(t, err)
		all[f.Name()] = string(sql)
	}
	return all
}

var (
	silent     = regexp.MustCompile(`(?s)--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\w*\$|'(?:[^']|'')*'`) // comments, strings, bodies of functions
	block      = regexp.MustCompile(`(?is)\bDO\s+\$\w*\$(.*?)\$\w*\$`)
	creates    = regexp.MustCompile(`(?i)^\s*CREATE\s+(?:UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)`)
	on         = regexp.MustCompile(`(?i)^\s*(?:ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?|CREATE\s+UNIQUE\s+INDEX\s.*?\sON\s+)(\w+)`)
	takingAway = []*regexp.Regexp{
		regexp.MustCompile(`(?i)\bDROP\b`),
		regexp.MustCompile(`(?i)\bRENAME\b`),
		regexp.MustCompile(`(?i)\bTRUNCATE\b|\bDELETE\s+FROM\b`),
		regexp.MustCompile(`(?i)\bREVOKE\b`),
		regexp.MustCompile(`(?i)\bSET\s+NOT\s+NULL\b`),
		regexp.MustCompile(`(?i)\bALTER\s+(COLUMN\s+)?\w+\s+(SET\s+DATA\s+)?TYPE\b`),
		regexp.MustCompile(`(?i)\bADD\s+(CONSTRAINT|CHECK|UNIQUE|PRIMARY|FOREIGN|EXCLUDE)\b`),
		regexp.MustCompile(`(?i)^\s*CREATE\s+UNIQUE\s+INDEX\b`),
		regexp.MustCompile(`(?i)\bOR\s+REPLACE\b`),
	}
	addsColumn = regexp.MustCompile(`(?i)\bADD\s+(?:COLUMN\s+)?(?:IF\s+NOT\s+EXISTS\s+)?\w+\s+[^,]*\bNOT\s+NULL\b[^,]*`)
	filled     = regexp.MustCompile(`(?i)\bDEFAULT\b|\bGENERATED\b`)
)

// takesAway lists the statements that a program of before could stumble over:
// they remove, rename or narrow what it uses.
func takesAway(sql string) (found []string) {
	var made []string
	for statement := range strings.SplitSeq(silent.ReplaceAllString(block.ReplaceAllString(sql, "$1"), " "), ";") {
		statement = strings.Join(strings.Fields(statement), " ")
		if m := creates.FindStringSubmatch(statement); m != nil {
			made = append(made, m[1])
			continue
		}
		if m := on.FindStringSubmatch(statement); len(m) > 1 && slices.Contains(made, m[1]) {
			continue // nobody knows the table yet
		}
		if slices.ContainsFunc(takingAway, func(r *regexp.Regexp) bool { return r.MatchString(statement) }) ||
			slices.ContainsFunc(addsColumn.FindAllString(statement, -1), func(column string) bool { return !filled.MatchString(column) }) {
			found = append(found, statement)
		}
	}
	return found
}

func TestTakesAway(t *testing.T) {
	t.Parallel()
	for sql, bad := range map[string]bool{
		"DROP TABLE users":                                              true,
		"ALTER TABLE users\n  DROP COLUMN name":                         true,
		"alter table users rename column name to title":                 true,
		"ALTER TABLE users ALTER COLUMN name TYPE varchar(10)":          true,
		"ALTER TABLE users ALTER name SET DATA TYPE text":               true,
		"ALTER TABLE users ALTER COLUMN name SET NOT NULL":              true,
		"ALTER TABLE users ALTER COLUMN name DROP DEFAULT":              true,
		"ALTER TABLE users ADD COLUMN x text NOT NULL":                  true,
		"ALTER TABLE users ADD x int, ADD y int NOT NULL":               true,
		"ALTER TABLE users ADD CONSTRAINT c CHECK (length(name) < 10)":  true,
		"CREATE UNIQUE INDEX ON users (name)":                           true,
		"TRUNCATE users":                                                true,
		"DELETE FROM users":                                             true,
		"REVOKE UPDATE ON users FROM authservice_runtime":               true,
		"CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS ''": true,

		"ALTER TABLE users ADD COLUMN x text":                                                                false,
		"ALTER TABLE users ADD COLUMN x text NOT NULL DEFAULT ''":                                            false,
		"ALTER TABLE users ADD COLUMN x int NOT NULL GENERATED ALWAYS AS (1) STORED":                         false,
		"CREATE INDEX ON users (name)":                                                                       false,
		"CREATE TABLE x (y int NOT NULL); CREATE UNIQUE INDEX x_y ON x (y); ALTER TABLE x ADD CHECK (y > 0)": false,
		"CREATE TABLE x (y int); ALTER TABLE users ADD CHECK (true)":                                         true,
		"GRANT SELECT ON users TO authservice_runtime":                                                       false,
		"-- DROP TABLE users\nSELECT 'DROP TABLE users'":                                                     false,
		"DO $$ BEGIN DROP TABLE x; END $$":                                                                   true,
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $x$ TRUNCATE users $x$":                             false,
	} {
		require.Equal(t, bad, len(takesAway(sql)) > 0, sql)
	}
}
