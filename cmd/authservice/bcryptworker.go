package main

import (
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/authservice/authservice/internal/bcryptworker"
)

// bcryptWork is who hashes passwords; nil for whoever asks.
type bcryptWork = func(bcryptworker.Work) (bcryptworker.Result, error)

const bcryptWorkerName = "bcrypt-worker"

// bcryptWorkerCommand is what the service runs, for itself alone.
func bcryptWorkerCommand(e env) *cobra.Command {
	return &cobra.Command{
		Use:    bcryptWorkerName,
		Short:  "Hash passwords for the service, which starts this",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return bcryptworker.Serve(e.stdin, e.stdout)
		},
	}
}

// ownProgram is the file that this process runs: on Linux also where it was
// replaced or removed since.
func ownProgram() string {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe"
	}
	program, _ := os.Executable()
	return program
}
