package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/authservice/authservice/internal/httpapi"
)

func versionCommand(e env) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of the program and of its API",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			api, err := httpapi.ContractVersion()
			if err != nil {
				return err
			}
			fmt.Fprintf(e.stdout, "authservice %s (API %s)\n", version(), api)
			return nil
		},
	}
}

// version is what the module was built as: a tag, or a commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
