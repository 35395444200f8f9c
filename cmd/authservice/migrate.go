package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/authservice/authservice/internal/pgdb"
)

func migrateCommand(e env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Change the database's schema",
		Long: "Change the schema of the database of DATABASE_URL, whose role must own it.\n\n" +
			"The migrations also make the role authservice_runtime, which holds the rights\n" +
			"that the service needs and no more. Give them to the role that it logs in with:\n\n" +
			"  CREATE ROLE authservice LOGIN PASSWORD '...';\n  GRANT authservice_runtime TO authservice;",
	}
	sub := func(use, short string, do func(cmd *cobra.Command, url string) error) {
		cmd.AddCommand(&cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := e.withDotEnv()
			if err != nil {
				return err
			}
			url, err := e.databaseURL()
			if err != nil {
				return err
			}
			return do(cmd, url)
		}})
	}
	sub("up", "Apply all pending migrations", func(cmd *cobra.Command, url string) error {
		return pgdb.Migrate(cmd.Context(), url, e.stdout)
	})
	sub("down", "Undo the newest migration; what it added is lost", func(cmd *cobra.Command, url string) error {
		return pgdb.Rollback(cmd.Context(), url, e.stdout)
	})
	sub("status", "List the migrations", func(cmd *cobra.Command, url string) error {
		all, err := pgdb.Migrations(cmd.Context(), url)
		for _, m := range all {
			mark := " "
			if m.Applied {
				mark = "x"
			}
			fmt.Fprintf(e.stdout, "[%s] %s\n", mark, m.Name)
		}
		return err
	})
	return cmd
}
