package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

//go:embed floor_credits.sql
var creditsFloorSchema string

// Goals of the ledger, as ratios in one run.
const (
	spreadOfFloor   = 1.0
	oneOfFloor      = 4.0
	p99Limit        = 50  // ms
	historyLimit    = 1.2 // × the cost of a debit on an empty history
	openGrantsLimit = 1.5 // × the cost of a debit with one open grant
	// grantAccounts is how many accounts the last comparison uses: each needs
	// its own thousand grants.
	grantAccounts = 64
)

// Scripts of pgbench.
const (
	rawDebit = `\set account random(1, :accounts)
SELECT authbench.spend(:account, 1);
`
	bareDebit = `\set account random(1, :accounts)
SELECT authbench.debit(:account, 1);
`
	rawHold = `\set account random(1, :accounts)
SELECT authbench.hold(:account, 1) AS hold \gset
SELECT authbench.capture(:account, :hold, 1);
`
)

// rawCredits is a contender: the same work in raw SQL.
type rawCredits struct {
	what     string
	pgbench  *pgbench
	script   string
	accounts int
	total    floorResult
}

func (r *rawCredits) turn(ctx context.Context, b *bench, round string) error {
	b.progress.say("raw SQL: " + r.what + ", " + round)
	defer b.progress.done()
	variables := map[string]int64{"accounts": int64(r.accounts)}
	f, err := r.pgbench.run(ctx, r.script, variables, b.o.duration, b.meter.postmaster, b.progress.update)
	r.total.add(f)
	return err
}

// rawTables makes the tables of raw SQL.
func (b *bench) rawTables(ctx context.Context, accounts int) error {
	_, err := b.database.Exec(ctx, creditsFloorSchema)
	if err == nil {
		_, err = b.database.Exec(ctx, "SELECT authbench.fill($1, $2)", accounts, int64(lastGrant))
	}
	if err != nil {
		b.dropFloor()
		return fmt.Errorf("making the tables of the floor: %w", err)
	}
	return nil
}

// ledger measures debits: spread and on one account beside raw SQL, and what
// they cost where much has happened and where many grants are open.
func (b *bench) ledger(ctx context.Context) error {
	if b.database == nil {
		return errors.New("this compares with raw SQL: give --database-url")
	}
	pgbench, err := findPgbench(b.target, b.o.pgbench)
	if err != nil {
		return err
	}
	accounts, err := b.accounts(ctx)
	if err != nil {
		return err
	}
	empty, err := b.besideRawDebits(ctx, pgbench, "on "+plural(len(accounts), "account"), accounts, spreadOfFloor)
	if err != nil {
		return err
	}
	if _, err := b.besideRawDebits(ctx, pgbench, "on one account", accounts[:1], oneOfFloor); err != nil {
		return err
	}
	if err := b.withHistory(ctx, empty); err != nil {
		return err
	}
	return b.withOpenGrants(ctx)
}

// besideRawDebits measures debits in turns with pgbench's: with those that write
// the same rows, and with the barest.
func (b *bench) besideRawDebits(ctx context.Context, p *pgbench, where string, accounts []uuid.UUID, limit float64) (*result, error) {
	s := b.side("debits "+where, b.debits(accounts))
	raw := &rawCredits{what: s.what, pgbench: p, script: rawDebit, accounts: len(accounts)}
	bare := &rawCredits{what: s.what + ", bare", pgbench: p, script: bareDebit, accounts: len(accounts)}
	r, err := b.besideRaw(ctx, "ledger", s, raw, "one SQL call that writes the same rows", bare)
	if err != nil {
		return nil, err
	}
	r.Bare = bare.total.floor("one UPDATE and one INSERT in one SQL call")
	r.Goals = []goal{
		ofFloor(r, limit),
		atMost("p99 in ms", r.Latency.P99, p99Limit),
	}
	return r, nil
}

// besideRaw measures requests that move credits in turns with raw SQL that does
// the same.
func (b *bench) besideRaw(ctx context.Context, scenario string, s *side, raw *rawCredits, calls string, others ...contender) (*result, error) {
	if err := b.rawTables(ctx, raw.accounts); err != nil {
		return nil, err
	}
	defer b.dropFloor()
	if err := b.turns(ctx, append([]contender{s, raw}, others...)...); err != nil {
		return nil, err
	}
	r := s.result(scenario)
	r.Floor = raw.total.floor(calls)
	b.add(r)
	return r, nil
}

// withHistory compares with the cost of debits on accounts where nothing had happened.
func (b *bench) withHistory(ctx context.Context, empty *result) error {
	if b.o.history == 0 {
		return nil
	}
	each := max(1, b.o.history/b.o.accounts-1)
	accounts, err := b.populate(ctx, b.o.accounts, 0, each)
	if err != nil {
		return err
	}
	s := b.side(fmt.Sprintf("debits after %s transactions", number((each+1)*b.o.accounts)), b.debits(accounts))
	if err := b.turns(ctx, s); err != nil {
		return err
	}
	r := s.result("ledger")
	r.Goals = costs(r, empty, historyLimit, "of one after none")
	b.add(r)
	return nil
}

// withOpenGrants compares debits on accounts with one and with many open grants.
func (b *bench) withOpenGrants(ctx context.Context) error {
	if b.o.openGrants <= 1 {
		return nil
	}
	var sides []contender
	for _, grants := range []int{1, b.o.openGrants} {
		accounts, err := b.populate(ctx, grantAccounts, grants-1, 0)
		if err != nil {
			return err
		}
		sides = append(sides, b.side(fmt.Sprintf("debits on %d accounts with %s open", grantAccounts, plural(grants, "grant")), b.debits(accounts)))
	}
	if err := b.turns(ctx, sides...); err != nil {
		return err
	}
	one, many := sides[0].(*side).result("ledger"), sides[1].(*side).result("ledger")
	many.Goals = costs(many, one, openGrantsLimit, "of one with one")
	b.add(one)
	b.add(many)
	return nil
}

// costs compares what a request costs with what another one did: in time, which
// is what a user notices, and in processor time, which other programs on the
// machine disturb less.
func costs(r, other *result, limit float64, of string) []goal {
	goals := []goal{atMost("time × that "+of, other.Rate/r.Rate, limit)}
	if a, b := r.CPU.server(), other.CPU.server(); a > 0 && b > 0 {
		goals = append(goals, atMost("CPU × that "+of, a/b, limit))
	}
	return goals
}

// holdsAndCaptures places holds and captures them, each a request.
func (b *bench) holdsAndCaptures(ctx context.Context) error {
	accounts, err := b.accounts(ctx)
	if err != nil {
		return err
	}
	s := b.side("hold, then capture", b.holds(accounts))
	if b.database == nil {
		return b.alone(ctx, "hold", s)
	}
	pgbench, err := findPgbench(b.target, b.o.pgbench)
	if err != nil {
		return err
	}
	raw := &rawCredits{what: s.what, pgbench: pgbench, script: rawHold, accounts: len(accounts)}
	r, err := b.besideRaw(ctx, "hold", s, raw, "the same, barely, in two SQL calls")
	if err != nil {
		return err
	}
	// pgbench counts the pair.
	r.Floor.Rate *= 2
	r.Floor.CPU = cpu{Database: half(r.Floor.CPU.Database), Client: half(r.Floor.CPU.Client)}
	return nil
}

func half(v *float64) *float64 {
	if v == nil {
		return nil
	}
	h := *v / 2
	return &h
}
