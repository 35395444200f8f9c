package main

import (
	"context"

	"github.com/google/uuid"
)

// balance reads the credits of a user drawn anew each time, with the API key.
func (b *bench) balance(ctx context.Context) error {
	accounts, err := b.accounts(ctx)
	if err != nil {
		return err
	}
	floor := func(e endpoint) func(int) script {
		return over(newRequest(e, "GET", bareBalance+blankID, ""), accounts)
	}
	return b.besideBare(ctx, "balance", b.side("GET /v1/users/{id}/credits", b.balances(accounts)), "a bare handler with the same query", floor, readOfFloor)
}

// health is a request that costs nothing, beside a handler that does nothing.
func (b *bench) health(ctx context.Context) error {
	floor := func(e endpoint) func(int) script { return over(newRequest(e, "GET", bareEmpty, ""), nil) }
	s := b.side("GET /health/live", over(newRequest(b.endpoint, "GET", "/health/live", ""), nil))
	return b.besideBare(ctx, "http", s, "an empty handler", floor, 0)
}

// Shares of the requests of a product in use.
var mixed = []struct {
	share  float64
	script func(b *bench, accounts []uuid.UUID, logins []*session) func(int) script
}{
	{0.40, func(b *bench, accounts []uuid.UUID, _ []*session) func(int) script { return b.balances(accounts) }},
	{0.20, func(b *bench, _ []uuid.UUID, logins []*session) func(int) script {
		return b.own("GET", "/v1/me", logins)
	}},
	{0.20, func(b *bench, accounts []uuid.UUID, _ []*session) func(int) script { return b.debits(accounts) }},
	{0.10, func(b *bench, accounts []uuid.UUID, _ []*session) func(int) script { return b.pages(accounts) }},
	{0.05, func(b *bench, accounts []uuid.UUID, _ []*session) func(int) script { return b.granting(accounts) }},
	{0.05, func(b *bench, _ []uuid.UUID, logins []*session) func(int) script { return b.refreshes(logins) }},
}

// mixed measures all kinds of requests at once, but for those that hash
// passwords, which would hide the others.
func (b *bench) mixed(ctx context.Context) error {
	accounts, err := b.accounts(ctx)
	if err != nil {
		return err
	}
	logins, err := b.sessions(ctx, b.o.connections)
	if err != nil {
		return err
	}
	s := b.side("reads and writes", func(i int) script {
		m := &mixture{random: newRandom()}
		for _, part := range mixed {
			m.scripts = append(m.scripts, part.script(b, accounts, logins)(i))
			m.shares = append(m.shares, part.share)
		}
		return m
	})
	s.pace = b.o.pace
	return b.alone(ctx, "mixed", s)
}

const (
	// quietPace is how many requests of each kind are sent each second while
	// latencies are compared: far below what the service can do, because the
	// latencies of a service under full load say only how many wait.
	quietPace        = 200
	quietConnections = 16
	floodLimit       = 2 // × the p99 without the flood
)

// flood compares the latency of balances and debits with and without a flood of
// logins beside them.
func (b *bench) flood(ctx context.Context) error {
	accounts, err := b.accounts(ctx)
	if err != nil {
		return err
	}
	logins, err := b.loginScript(ctx)
	if err != nil {
		return err
	}
	paced := func(what string, script func(int) script) *side {
		s := b.side(what, script)
		s.connections, s.pace = quietConnections, quietPace
		return s
	}
	var (
		quietBalance = paced("balance, quiet", b.balances(accounts))
		quietDebit   = paced("debit, quiet", b.debits(accounts))
		balance      = paced("balance, beside logins", b.balances(accounts))
		debit        = paced("debit, beside logins", b.debits(accounts))
		flood        = b.side("logins", logins)
	)
	flood.connections = b.o.flood
	if err := b.turns(ctx, together{quietBalance, quietDebit}, together{balance, debit, flood}); err != nil {
		return err
	}
	for _, pair := range [][2]*side{{quietBalance, balance}, {quietDebit, debit}} {
		quiet, loud := pair[0].result("flood"), pair[1].result("flood")
		loud.Goals = []goal{atMost("p99 × that without logins", loud.Latency.P99/quiet.Latency.P99, floodLimit)}
		b.add(quiet)
		b.add(loud)
	}
	b.add(flood.result("flood"))
	return nil
}
