package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// pgbench drives raw SQL as fast as PostgreSQL's own load generator can.
type pgbench struct {
	program string
	config  pgconn.Config
}

const (
	pgbenchClients = 32
	pgbenchThreads = 2
)

// findPgbench prefers the one that came with the server that is measured.
func findPgbench(t *target, given string) (*pgbench, error) {
	p := &pgbench{program: given, config: t.database.Config().Config}
	if p.program == "" {
		if server, err := programOf(t.meter.postmaster); err == nil {
			p.program = filepath.Join(filepath.Dir(server), "pgbench")
		}
	}
	if _, err := os.Stat(p.program); err == nil {
		return p, nil
	}
	path, err := exec.LookPath("pgbench")
	if err != nil {
		return nil, errors.New("pgbench, which drives the floor, is not there: install PostgreSQL's client programs, or give --pgbench")
	}
	p.program = path
	return p, nil
}

// floorResult is what pgbench reports.
type floorResult struct {
	seconds      float64
	transactions int64
	usage        usage
}

func (f *floorResult) add(o floorResult) {
	f.seconds += o.seconds
	f.transactions += o.transactions
	f.usage = f.usage.plus(o.usage)
}

func (f *floorResult) floor(what string) *floor {
	return &floor{
		What: fmt.Sprintf("%s, pgbench with %d clients", what, pgbenchClients),
		Rate: float64(f.transactions) / f.seconds, CPU: f.usage.per(f.transactions),
	}
}

// run has 32 clients repeat a script with prepared statements.
func (p *pgbench) run(ctx context.Context, script string, variables map[string]int64, d time.Duration, postmaster int, progress func(string)) (floorResult, error) {
	m := meter{postmaster: postmaster}
	file, err := os.CreateTemp("", "authbench-*.sql")
	if err != nil {
		return floorResult{}, err
	}
	defer os.Remove(file.Name())
	if _, err = file.WriteString(script); err == nil {
		err = file.Close()
	}
	if err != nil {
		return floorResult{}, err
	}
	args := []string{
		"-n", "-M", "prepared", "-c", strconv.Itoa(pgbenchClients), "-j", strconv.Itoa(pgbenchThreads),
		"-T", strconv.Itoa(max(1, int(d.Seconds()))), "-P", "1", "-f", file.Name(),
	}
	for name, value := range variables {
		args = append(args, "-D", name+"="+strconv.FormatInt(value, 10))
	}
	cmd := exec.CommandContext(ctx, p.program, args...) //nolint:gosec // PostgreSQL's
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = []string{ // not as arguments, which everybody on the machine can read
		"LC_ALL=C", "PGHOST=" + p.config.Host, "PGPORT=" + strconv.Itoa(int(p.config.Port)), "PGDATABASE=" + p.config.Database,
		"PGUSER=" + p.config.User, "PGPASSWORD=" + p.config.Password, "PGAPPNAME=authbench",
		"PGOPTIONS=-c search_path=authbench,public",
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return floorResult{}, err
	}
	begin := m.read()
	if err := cmd.Start(); err != nil {
		return floorResult{}, fmt.Errorf("running pgbench: %w", err)
	}
	complaints := follow(stderr, progress)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return floorResult{}, ctx.Err()
		}
		return floorResult{}, fmt.Errorf("running pgbench: %w\n%s", err, complaints)
	}
	f, err := parsePgbench(out.String())
	f.usage = m.read().since(begin)
	f.usage.client = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return f, err
}

// follow passes pgbench's progress on and returns whatever else it says.
func follow(stderr io.Reader, progress func(string)) (rest string) {
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		line := lines.Text()
		if what, found := strings.CutPrefix(line, "progress: "); found {
			progress(what)
		} else {
			rest += line + "\n"
		}
	}
	return rest
}

var (
	pgbenchCount  = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`)
	pgbenchFailed = regexp.MustCompile(`(?m)^number of failed transactions: ([1-9]\d*)`)
	pgbenchRate   = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)
)

func parsePgbench(report string) (floorResult, error) {
	count, rate := pgbenchCount.FindStringSubmatch(report), pgbenchRate.FindStringSubmatch(report)
	if count == nil || rate == nil {
		return floorResult{}, fmt.Errorf("pgbench reports no rate:\n%s", report)
	}
	if failed := pgbenchFailed.FindStringSubmatch(report); failed != nil {
		return floorResult{}, fmt.Errorf("%s transactions of pgbench failed", failed[1])
	}
	n, err1 := strconv.ParseInt(count[1], 10, 64)
	tps, err2 := strconv.ParseFloat(rate[1], 64)
	if err := errors.Join(err1, err2); err != nil || tps <= 0 {
		return floorResult{}, fmt.Errorf("pgbench reports no rate:\n%s", report)
	}
	return floorResult{transactions: n, seconds: float64(n) / tps}, nil
}
