package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/authservice/authservice/internal/tokens"
)

func keysCommand(e env) *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "Manage the keys that sign access tokens"}
	cmd.AddCommand(keysListCommand(e), keysRotateCommand(e))
	return cmd
}

func keysListCommand(e env) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the keys, oldest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.withDomain(cmd.Context(), func(ctx context.Context, d *domain) error {
				keys, err := d.tokens.Keys(ctx)
				if err != nil {
					return err
				}
				table := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(table, "KEY\tALGORITHM\tSTATE\tCREATED\tACTIVATED\tRETIRED")
				for _, k := range keys {
					fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", k.KeyID, k.Algorithm, k.State, moment(&k.CreatedAt), moment(k.ActivatedAt), moment(k.RetiredAt))
				}
				return table.Flush()
			})
		},
	}
}

func moment(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func keysRotateCommand(e env) *cobra.Command {
	var now bool
	cmd := &cobra.Command{
		Use:   "rotate [--now]",
		Short: "Replace the key that signs",
		Long: "Make a new key. It is published at once, and signs as soon as everybody who verifies\n" +
			"tokens can have seen it, after about ten minutes; tokens of the old key stay valid.\n\n" +
			"With --now, for a key that may have leaked, the new key signs at once and every other is\n" +
			"void: clients have to refresh their access tokens, which they do by themselves.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.withDomain(cmd.Context(), func(ctx context.Context, d *domain) error {
				rotation, err := d.tokens.Rotate(ctx, now)
				if err != nil {
					return err
				}
				switch {
				case rotation.Activated != "":
					fmt.Fprintf(e.stdout, "%s signs now; %d other keys are void\n", rotation.Activated, len(rotation.Revoked))
				case rotation.Made != "":
					fmt.Fprintf(e.stdout, "%s is published and will sign in about %s\n", rotation.Made, tokens.Publication)
				default:
					fmt.Fprintln(e.stdout, "a rotation is under way already")
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&now, "now", false, "void all other keys at once")
	return cmd
}
