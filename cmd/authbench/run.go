package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// options are the flags.
type options struct {
	url, apiKey, databaseURL string
	disposable               bool
	servicePID               int
	binary, dir, pgbench     string

	connections         int
	duration, warmup    time.Duration
	rounds              int
	accounts            int
	history, openGrants int
	flood, bcryptSlots  int
	pace                float64
	users, transactions int
	json                bool
}

// scenario is something to measure.
type scenario struct {
	name, what string
	run        func(*bench, context.Context) error
}

// scenarios are in the order of the help.
var scenarios = []scenario{
	{"http", "a request that does nothing, beside an empty handler", (*bench).health},
	{"register", "beside bcrypt", (*bench).register},
	{"login", "beside bcrypt", (*bench).login},
	{"refresh", "beside raw SQL", (*bench).refresh},
	{"me", "who am I, beside a bare handler with the same query", (*bench).me},
	{"balance", "beside a bare handler with the same query", (*bench).balance},
	{"hold", "hold and capture, beside raw SQL", (*bench).holdsAndCaptures},
	{"ledger", "debits beside raw SQL, spread and on one account, after a long history, with many grants", (*bench).ledger},
	{"mixed", "40 % balances, 20 % who am I, 20 % debits, 10 % pages of a history, 5 % grants, 5 % refreshes", (*bench).mixed},
	{"flood", "the latency of balances and debits beside a flood of logins", (*bench).flood},
	{"growth", "what requests cost before and after --users and --transactions are there", (*bench).growth},
	{"footprint", "memory, size of the program, time to start", (*bench).footprint},
	{"load", "measures nothing: writes --users with --transactions, which later scenarios use", (*bench).fill},
}

func scenarioNamed(name string) (scenario, bool) {
	i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
	if i < 0 {
		return scenario{}, false
	}
	return scenarios[i], true
}

// run is the program but for the process around it. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := rootCommand(stdout, stderr)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	switch err := root.ExecuteContext(ctx); {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "authbench: interrupted")
		return 130
	default:
		fmt.Fprintln(stderr, "authbench:", strings.ReplaceAll(err.Error(), "\n", "\n  "))
		return 1
	}
}

func rootCommand(stdout, stderr io.Writer) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:           "authbench <scenario>…",
		Short:         "Measure how fast Auth Service is beside a floor",
		Long:          help(),
		Args:          scenarioArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return measure(cmd.Context(), o, names, stdout, newProgress(stderr))
		},
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.AddCommand(bareCommand(stdout))
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVarP(&o.connections, "connections", "c", 64, "connections at once")
	f.DurationVarP(&o.duration, "duration", "d", 10*time.Second, "how long to measure, in each round")
	f.DurationVar(&o.warmup, "warmup", 2*time.Second, "how long to load before that")
	f.IntVar(&o.rounds, "rounds", 2, "how often to take turns with the floor")
	f.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	f.IntVar(&o.accounts, "accounts", 10_000, "accounts that requests are spread over")
	f.IntVar(&o.history, "history", 1_000_000, "ledger: transactions of a long history, 0 to leave it out")
	f.IntVar(&o.openGrants, "open-grants", 1_000, "ledger: open grants of an account that has many, 0 to leave it out")
	f.IntVar(&o.flood, "flood", 64, "flood: connections that log in")
	f.IntVar(&o.bcryptSlots, "bcrypt-slots", 0, "register, login: passwords that the service hashes at once (default: as many as there are CPUs)")
	f.Float64Var(&o.pace, "pace", 0, "mixed: requests per second, of all connections together, each sent when it is due (default: as many as are answered)")
	f.IntVar(&o.users, "users", 1_000_000, "growth, load: users to write")
	f.IntVar(&o.transactions, "transactions", 10_000_000, "growth, load: transactions to write, all users together")
	f.StringVar(&o.binary, "binary", "", "run this authservice instead of building one")
	f.StringVar(&o.dir, "dir", "", "keep the private PostgreSQL's data in this directory (default: a temporary one)")
	f.StringVar(&o.pgbench, "pgbench", "", "the pgbench to use (default: the one beside the server, or on PATH)")
	f.StringVar(&o.url, "url", "", "measure the deployment at this URL, with AUTH_RATE_LIMIT_ENABLED=false; users are made in it and stay")
	f.StringVar(&o.apiKey, "api-key", "", "with --url: an API key with every scope (or AUTHBENCH_API_KEY)")
	f.StringVar(&o.databaseURL, "database-url", "", "with --url: its database, as the owner of the tables, for the floors (or AUTHBENCH_DATABASE_URL)")
	f.BoolVar(&o.disposable, "disposable", false, "with --database-url: yes, its data may be locked and written to, and need not be kept")
	f.IntVar(&o.servicePID, "service-pid", 0, "with --url, on this machine: the service's process, for its CPU time")
	return cmd
}

func help() string {
	var b strings.Builder
	b.WriteString(`Measure how fast Auth Service is beside a floor: the least that the same work
costs on the same machine, measured in turns with it. authbench builds the
service, runs it as dev does on a private PostgreSQL that keeps what it is told
(fsync on), and removes all of it afterwards; or it measures the deployment of --url.
The load is a closed loop, but for --pace: each connection sends its next
request when the last one is answered.

Scenarios:
`)
	for _, s := range scenarios {
		fmt.Fprintf(&b, "  %-10s %s\n", s.name, s.what)
	}
	return b.String()
}

func scenarioArgs(_ *cobra.Command, names []string) error {
	if len(names) == 0 {
		return errors.New("name a scenario; authbench help lists them")
	}
	for _, name := range names {
		if _, known := scenarioNamed(name); !known {
			return fmt.Errorf("there is no scenario %q; authbench help lists them", name)
		}
	}
	return nil
}

func (o *options) check() error {
	o.apiKey = cmp.Or(o.apiKey, os.Getenv("AUTHBENCH_API_KEY"))
	o.databaseURL = cmp.Or(o.databaseURL, os.Getenv("AUTHBENCH_DATABASE_URL"))
	switch {
	case o.url == "" && (o.apiKey != "" || o.databaseURL != "" || o.servicePID != 0 || o.disposable):
		return errors.New("an API key, a database, --disposable and --service-pid go with --url")
	case o.url != "" && o.apiKey == "":
		return errors.New("--url needs --api-key")
	case o.url != "" && (o.binary != "" || o.dir != ""):
		return errors.New("--binary and --dir are for a service of our own, not for --url")
	case (o.databaseURL != "") != o.disposable:
		return errors.New("with --database-url tables are written to and locked: say --disposable, where that may be")
	case o.connections < 1 || o.rounds < 1 || o.accounts < 1 || o.flood < 1 || o.users < 1:
		return errors.New("--connections, --rounds, --accounts, --flood and --users must be 1 or more")
	case o.duration < time.Second || o.warmup < 0:
		return errors.New("--duration must be 1s or more, and --warmup not negative")
	case o.history < 0 || o.openGrants < 0 || o.bcryptSlots < 0 || o.pace < 0:
		return errors.New("--history, --open-grants, --bcrypt-slots and --pace must not be negative")
	case o.transactions < o.users:
		return errors.New("--transactions must not be fewer than --users")
	}
	return nil
}

// report is the JSON that is printed.
type report struct {
	Machine machine   `json:"machine"`
	Results []*result `json:"results"`
	Facts   []fact    `json:"facts,omitempty"`
}

type machine struct {
	CPUs       int       `json:"cpus"`
	OS         string    `json:"os"`
	Arch       string    `json:"arch"`
	PostgreSQL string    `json:"postgresql,omitempty"`
	Durable    bool      `json:"durable"` // fsync and synchronous_commit are on
	At         time.Time `json:"at"`
}

func measure(ctx context.Context, o options, names []string, stdout io.Writer, p *progress) error {
	t, err := openTarget(ctx, o, p.say)
	if err != nil {
		return err
	}
	b := &bench{target: t, o: o, progress: p}
	defer b.close()
	if t.database != nil && !t.durable {
		p.say("WARNING: fsync or synchronous_commit is off: what is answered may be lost, and the rates compare with nothing")
	}
	for _, name := range names {
		s, _ := scenarioNamed(name)
		if err = s.run(b, ctx); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
			break
		}
	}
	if err != nil && len(b.results) == 0 {
		return err
	}
	return errors.Join(err, b.print(stdout)) // what was measured before a failure is worth something
}

func (b *bench) print(w io.Writer) error {
	m := machine{
		CPUs: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH, PostgreSQL: b.version, Durable: b.durable,
		At: time.Now().UTC().Truncate(time.Second),
	}
	if b.o.json {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(report{m, b.results, b.facts})
	}
	fmt.Fprintf(w, "%d CPUs, %s/%s, %s, %d connections, %s of %s after %s\n",
		m.CPUs, m.OS, m.Arch, b.durability(), b.o.connections, plural(b.o.rounds, "round"), b.o.duration, b.o.warmup)
	printTable(w, b.results, b.facts)
	return nil
}
