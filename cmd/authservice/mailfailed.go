package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/authservice/authservice/internal/identity"
	"github.com/authservice/authservice/internal/jobs"
)

func mailFailedCommand(e env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "failed",
		Short: "See and retry the mails that were given up",
		Long: "A mail that the server does not take is tried again for about three days; one that it\n" +
			"refuses for good is not. Either has failed then, and is kept for " + days(jobs.KeepFailed) + ".",
	}
	cmd.AddCommand(mailFailedListCommand(e), mailFailedRetryCommand(e))
	return cmd
}

func days(d time.Duration) string { return fmt.Sprintf("%d days", d/(24*time.Hour)) }

// failedPage is how many mails are read at once.
const failedPage = 500

func mailFailedListCommand(e env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the failed mails, oldest first",
		Long: "List the failed mails, oldest first. Whom they are for is masked, and what is in them\n" +
			"is not shown: it may hold links that are keys to accounts.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			write := tableOfMails(e.stdout)
			if asJSON {
				write = linesOfMails(e.stdout)
			}
			return e.withDomain(cmd.Context(), func(ctx context.Context, d *domain) error {
				for after, more := int64(0), true; more; {
					var page []identity.FailedMail
					var err error
					if page, more, err = d.identity.FailedMails(ctx, after, failedPage); err != nil {
						return err
					}
					if err := write(page); err != nil {
						return err
					}
					if len(page) > 0 {
						after = page[len(page)-1].ID
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one line of JSON for each mail")
	return cmd
}

// tableOfMails writes for people.
func tableOfMails(w io.Writer) func([]identity.FailedMail) error {
	heading := "ID\tKIND\tRECIPIENT\tTRIES\tCREATED\tFAILED\tLAST ERROR\n"
	return func(page []identity.FailedMail) error {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprint(table, heading)
		heading = ""
		for _, m := range page {
			fmt.Fprintf(table, "%d\t%s\t%s\t%d\t%s\t%s\t%s\n", m.ID, m.Kind, m.Recipient, m.Tries, moment(&m.CreatedAt), moment(&m.FailedAt), oneLine(m.LastError))
		}
		return table.Flush()
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// linesOfMails writes for programs.
func linesOfMails(w io.Writer) func([]identity.FailedMail) error {
	lines := json.NewEncoder(w)
	return func(page []identity.FailedMail) error {
		for _, m := range page {
			if err := lines.Encode(m); err != nil {
				return fmt.Errorf("writing the list: %w", err)
			}
		}
		return nil
	}
}

func mailFailedRetryCommand(e env) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "retry ID… | --all",
		Short: "Try failed mails again, for another three days if need be",
		Long: "Try failed mails again, for another three days if need be. The service sends them, within\n" +
			"seconds if it runs. A mail whose link was used or replaced meanwhile is not sent any more;\n" +
			"the time in which a link works begins anew.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := mailIDs(args)
			switch {
			case err != nil:
				return err
			case all == (len(ids) > 0):
				return errors.New("name either the mails, as `mail failed list` does, or --all")
			}
			return e.withDomain(cmd.Context(), func(ctx context.Context, d *domain) error {
				retry := d.identity.RetryAllMails
				if !all {
					retry = func(ctx context.Context) ([]int64, error) { return d.identity.RetryMails(ctx, ids) }
				}
				found, err := retry(ctx)
				if err != nil {
					return err
				}
				fmt.Fprintf(e.stdout, "%d tried again\n", len(found))
				if missing := slices.DeleteFunc(ids, func(id int64) bool { return slices.Contains(found, id) }); len(missing) > 0 {
					return fmt.Errorf("not among the failed ones: %s", strings.Trim(fmt.Sprint(missing), "[]"))
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all that have failed")
	return cmd
}

func mailIDs(args []string) (ids []int64, err error) {
	for _, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no mail's id", arg)
		}
		ids = append(ids, id)
	}
	return ids, nil
}
