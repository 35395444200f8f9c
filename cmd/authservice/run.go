package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/joho/godotenv"
	"github.com/spf13/cobra"

	"github.com/authservice/authservice/internal/config"
)

// env is what a command may touch of the world.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string // as of os.Environ
	program        string   // the file of the program, for processes of its own; empty for none
}

func processEnv() env {
	return env{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ(), program: ownProgram()}
}

// run is the program but for the process around it; end-to-end tests call it.
// It returns the exit code.
func run(ctx context.Context, args []string, e env) int {
	root := &cobra.Command{
		Use:           "authservice",
		Short:         "Accounts and credits for your product",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(devCommand(e), serveCommand(e), migrateCommand(e), usersCommand(e), keysCommand(e), ledgerCommand(e), mailCommand(e), healthCommand(e), versionCommand(e), bcryptWorkerCommand(e))
	root.SetArgs(args)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(e.stderr, "authservice:", strings.ReplaceAll(err.Error(), "\n", "\n  "))
		return 1
	}
	return 0
}

// withDotEnv adds what a file .env in the working directory says; what is
// really set wins.
func (e env) withDotEnv() (env, error) {
	file, err := godotenv.Read(".env")
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		// The parser's message repeats the line, which may hold a secret.
		return e, errors.New(".env cannot be read: it needs lines of the form NAME=value")
	}
	var added []string
	for name, value := range file {
		added = append(added, name+"="+value)
	}
	e.environ = append(added, e.environ...)
	return e, nil
}

// loadConfig reads the settings of the commands that need a database which is already there.
func (e env) loadConfig() (config.Config, env, error) {
	e, err := e.withDotEnv()
	if err != nil {
		return config.Config{}, e, err
	}
	c, err := config.Load(e.environ)
	return c, e, err
}

// withDomain runs a command on the service's database, beside the service itself.
func (e env) withDomain(ctx context.Context, do func(context.Context, *domain) error) error {
	c, e, err := e.loadConfig()
	if err != nil {
		return err
	}
	t, err := e.commandTelemetry(ctx, c)
	if err != nil {
		return err
	}
	defer t.Close(ctx)
	pool, closePool, err := openPool(ctx, c, t)
	if err != nil {
		return err
	}
	defer closePool()
	d, err := newDomain(ctx, c, pool, pool, nil, t)
	if err != nil {
		return err
	}
	return do(ctx, d)
}

// setting returns a setting that a command reads by itself, empty for none.
func (e env) setting(name string) string { return config.Get(e.environ, name) }

// databaseURL reads the one setting of the commands that need no other.
func (e env) databaseURL() (string, error) {
	url, err := config.DatabaseURL(e.environ)
	if err != nil {
		return "", fmt.Errorf("DATABASE_URL: %w", err)
	}
	return url.Reveal(), nil
}
