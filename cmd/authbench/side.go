package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
)

// side is one of the things that are measured in turns.
type side struct {
	what        string
	connections int
	pace        float64 // requests per second, together; 0 for as fast as they are answered
	script      func(connection int) script
	endpoint    endpoint
	service     int // the process that answers, 0 for unknown
	measured    *measured
}

// side is the service with a script.
func (b *bench) side(what string, script func(int) script) *side {
	return &side{what: what, connections: b.o.connections, script: script, endpoint: b.endpoint, service: b.meter.service}
}

// contender takes its turn once in every round.
type contender interface {
	turn(ctx context.Context, b *bench, round string) error
}

func (s *side) turn(ctx context.Context, b *bench, round string) error {
	return together{s}.turn(ctx, b, round)
}

// turns measures contenders one after the other, several times over, so that
// whatever else the machine does meets all of them.
func (b *bench) turns(ctx context.Context, contenders ...contender) error {
	for round := range b.o.rounds {
		for _, c := range contenders {
			if err := c.turn(ctx, b, fmt.Sprintf("round %d of %d", round+1, b.o.rounds)); err != nil {
				return err
			}
		}
	}
	return nil
}

// grace is longer than a service takes to give a request up.
const grace = 30 * time.Second

// together is sides that are measured at the same time. What they cost is known
// only of one alone.
type together []*side

func (t together) turn(ctx context.Context, b *bench, round string) error {
	names := make([]string, len(t))
	for i, s := range t {
		names[i] = s.what
	}
	b.progress.say(strings.Join(names, " + ") + ", " + round)
	defer b.progress.done()

	// Sending requests is little work: threads that look for more of it would
	// only take the processors from the service.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(1, runtime.NumCPU()/4)))
	var begin, end usage
	m := meter{postmaster: b.meter.postmaster, service: t[0].service}
	loads := make([]*load, len(t))
	for i, s := range t {
		loads[i] = &load{
			endpoint: s.endpoint, connections: s.connections, pace: s.pace, script: s.script,
			warmup: b.o.warmup, duration: b.o.duration, grace: grace, started: func() {}, ended: func() {},
		}
	}
	loads[0].started, loads[0].ended = func() { begin = m.read() }, func() { end = m.read() }
	loads[0].progress = b.showLoad
	got, errs := make([]*samples, len(t)), make([]error, len(t))
	var group sync.WaitGroup
	for i, l := range loads {
		group.Go(func() { got[i], errs[i] = l.run(ctx) })
	}
	group.Wait()
	for i, s := range t {
		switch {
		case errs[i] != nil:
			return errs[i]
		case got[i].done == 0:
			return fmt.Errorf("%s: no request was answered with success: %v %v", s.what, got[i].statuses, got[i].broken)
		}
		one := &measured{samples: got[i]}
		if len(t) == 1 {
			one.usage = end.since(begin)
		}
		if s.measured == nil {
			s.measured = &measured{samples: newSamples()}
		}
		s.measured.add(one)
	}
	return nil
}

func (b *bench) showLoad(elapsed time.Duration, done, failed int64) {
	whole := b.o.warmup + b.o.duration
	b.progress.update(fmt.Sprintf("%s %2.0f of %.0f s   %.0f/s   %d failed",
		bar(float64(elapsed), float64(whole)), elapsed.Seconds(), whole.Seconds(), float64(done)/elapsed.Seconds(), failed))
}

// result is what came of a side.
func (s *side) result(scenario string) *result {
	return s.measured.result(scenario, s.what, s.connections)
}
