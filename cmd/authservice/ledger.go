package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/authservice/authservice/internal/config"
	"github.com/authservice/authservice/internal/jobs"
	"github.com/authservice/authservice/internal/ledgerproof"
	"github.com/authservice/authservice/internal/pgdb"
)

func ledgerCommand(e env) *cobra.Command {
	cmd := &cobra.Command{Use: "ledger", Short: "Prove the credits of all accounts, and sign their state"}
	cmd.AddCommand(ledgerVerifyCommand(e), ledgerCheckpointCommand(e))
	return cmd
}

func ledgerVerifyCommand(e env) *cobra.Command {
	var (
		checkpoints string
		asJSON      bool
	)
	cmd := &cobra.Command{
		Use:   "verify [--checkpoints FILE] [--json]",
		Short: "Prove every balance, every chain and every checkpoint",
		Long: "Do the history of every account again, and compare what comes out with what the\n" +
			"database holds. It ends with status 1 and names the first thing that is wrong.\n\n" +
			"It reads one snapshot, while the service goes on, and needs no more than DATABASE_URL,\n" +
			"with the rights of the run-time role. A standby will do.\n\n" +
			"What was rewritten from some point on, cut off or taken back to an older state is as sound\n" +
			"as the truth. Checkpoints that were kept outside the database tell: FILE has them one JSON\n" +
			"object a line, as `ledger checkpoint` prints them or as the service logs them; - reads\n" +
			"them from standard input.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := ledgerproof.Options{Progress: func(p ledgerproof.Progress) { fmt.Fprintln(e.stderr, progress(p)) }}
			if checkpoints != "" {
				var err error
				if o.Outside, err = e.readCheckpoints(checkpoints); err != nil {
					return fmt.Errorf("--checkpoints %s: %w", checkpoints, err)
				}
			}
			report, err := e.verifyLedger(cmd.Context(), o)
			var broken *ledgerproof.Break
			if err != nil && !errors.As(err, &broken) {
				return err
			}
			if asJSON {
				if err := json.NewEncoder(e.stdout).Encode(verdict{Sound: err == nil, Break: broken, Report: report}); err != nil {
					return err
				}
			}
			if err != nil {
				return fmt.Errorf("the ledger is broken: %w", err)
			}
			if !asJSON {
				tellSound(e.stdout, report, checkpoints)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&checkpoints, "checkpoints", "", "file of checkpoints that were kept outside the database")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON")
	return cmd
}

// verdict is what --json prints.
type verdict struct {
	Sound bool               `json:"sound"`
	Break *ledgerproof.Break `json:"break,omitempty"`
	ledgerproof.Report
}

func (e env) readCheckpoints(file string) ([]ledgerproof.Checkpoint, error) {
	if file == "-" {
		return ledgerproof.ReadCheckpoints(e.stdin)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ledgerproof.ReadCheckpoints(f)
}

func (e env) verifyLedger(ctx context.Context, o ledgerproof.Options) (ledgerproof.Report, error) {
	e, err := e.withDotEnv()
	if err != nil {
		return ledgerproof.Report{}, err
	}
	url, err := e.databaseURL()
	if err != nil {
		return ledgerproof.Report{}, err
	}
	pool, err := pgdb.Open(ctx, url, pgdb.PoolOptions{
		MaxConns: 1, ConnectTimeout: 10 * time.Second, Pooled: e.setting("AUTH_DATABASE_POOLER") == config.PoolerTransaction,
	})
	if err != nil {
		return ledgerproof.Report{}, fmt.Errorf("DATABASE_URL: %w", err)
	}
	defer pool.Close()
	// Rows come and go by the million, and next to nothing stays: with twice the
	// memory, 100 MB, a third less time goes into finding that out.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	pending, err := pgdb.Pending(ctx, pool)
	if err != nil {
		return ledgerproof.Report{}, fmt.Errorf("DATABASE_URL: %w", err)
	}
	if len(pending) > 0 {
		return ledgerproof.Report{}, fmt.Errorf("DATABASE_URL: %d migrations are missing; `authservice migrate up` applies them", len(pending))
	}
	return ledgerproof.Verify(ctx, pool, o)
}

// progress is a line that tells how far a verification is.
func progress(p ledgerproof.Progress) string {
	return fmt.Sprintf("%s of %s accounts, %s of %s transactions, %s/s", grouped(p.Accounts), grouped(p.AllAccounts),
		grouped(p.Transactions), grouped(p.AllTransactions), grouped(perSecond(p.Transactions, p.Took)))
}

func perSecond(n int64, took time.Duration) int64 {
	return int64(float64(n) / max(took, time.Millisecond).Seconds())
}

func tellSound(w io.Writer, r ledgerproof.Report, checkpoints string) {
	fmt.Fprintf(w, "The ledger is sound: %s accounts, %s transactions and %s hold events, proved in %s (%s transactions/s).\n",
		grouped(r.Accounts), grouped(r.Transactions), grouped(r.HoldEvents), r.Took.Round(time.Millisecond), grouped(perSecond(r.Transactions, r.Took)))
	fmt.Fprintf(w, "Issued %s = spent %s + expired %s + revoked %s + outstanding %s, in the smallest unit.\n",
		groupedText(r.Issued), groupedText(r.Spent), groupedText(r.Expired), groupedText(r.Revoked), groupedText(r.Outstanding))
	if r.Checkpoints > 0 {
		fmt.Fprintf(w, "Checkpoints: %s, signed by %s.\n", grouped(r.Checkpoints), strings.Join(r.KeyIDs, ", "))
	}
	switch {
	case checkpoints == "":
		fmt.Fprintln(w, "None was compared with a copy outside the database: whether this history is the true one, only that can tell (--checkpoints).")
	case len(r.NotOutside) > 0:
		fmt.Fprintf(w, "Not in %s: %s.\n", checkpoints, ranges(r.NotOutside))
	}
}

// ranges shows numbers in ascending order, neighbours together: "1, 4–7".
func ranges(numbers []int64) string {
	var parts []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, fmt.Sprint(numbers[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d–%d", numbers[i], numbers[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

// grouped writes a number as people read it: 1,234,567.
func grouped(n int64) string { return groupedText(big.NewInt(n)) }

func groupedText(n *big.Int) string {
	digits := n.String()
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func ledgerCheckpointCommand(e env) *cobra.Command {
	return &cobra.Command{
		Use:   "checkpoint",
		Short: "Sign and store the state of all accounts, and print it",
		Long: "Sign the heads of all accounts as they are now, store that, and print it as one line of\n" +
			"JSON. Keep the line where nobody who can write to the database can change it: that is\n" +
			"what `ledger verify --checkpoints` holds the ledger against.\n\n" +
			"The service does so by itself every AUTH_LEDGER_CHECKPOINT_INTERVAL, and logs it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.withDomain(cmd.Context(), func(ctx context.Context, d *domain) error {
				made, err := d.checkpointer.Checkpoint(ctx)
				if err != nil {
					return err
				}
				return json.NewEncoder(e.stdout).Encode(made)
			})
		},
	}
}

// checkpointPoll is how often it is looked whether a checkpoint is due.
const checkpointPoll = 5 * time.Minute

// registerCheckpoints has the state of all accounts signed at intervals, by one
// replica at a time; 0 for never.
func (d *domain) registerCheckpoints(log *slog.Logger, interval time.Duration) {
	if interval == 0 {
		return
	}
	d.jobs.Every("ledger_checkpoint", min(interval, checkpointPoll), func(ctx context.Context) error {
		made, err := d.checkpointer.CheckpointIfDue(ctx, interval)
		if made != nil {
			log.InfoContext(ctx, "ledger checkpoint", "checkpoint", *made)
		}
		return err
	}, jobs.Timeout(checkpointPoll))
}
