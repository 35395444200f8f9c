package main

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// bench is one run of scenarios on one target.
type bench struct {
	*target
	o        options
	progress *progress
	results  []*result
	facts    []fact

	// What scenarios share; made when it is first asked for.
	people   []uuid.UUID
	password string
	logins   []*session
	renewed  time.Time
	bare     *bareServer
}

func (b *bench) close() {
	if b.bare != nil {
		b.bare.stop()
	}
	b.target.close()
}

func (b *bench) add(r *result) { b.results = append(b.results, r) }

// besideBare measures reads in turns with the bare server's.
func (b *bench) besideBare(ctx context.Context, scenario string, s *side, floorWhat string, floorScript func(endpoint) func(int) script, goalLimit float64) error {
	if b.database == nil {
		return b.alone(ctx, scenario, s)
	}
	if b.bare == nil {
		server, err := startBare(ctx, b.databaseURL)
		if err != nil {
			return err
		}
		b.bare = server
	}
	f := &side{
		what: floorWhat, connections: s.connections, endpoint: b.bare.endpoint, service: b.bare.pid,
		script: floorScript(b.bare.endpoint),
	}
	if err := b.turns(ctx, s, f); err != nil {
		return err
	}
	r := s.result(scenario)
	fr := f.result(scenario)
	r.Floor = &floor{What: f.what, Rate: fr.Rate, CPU: fr.CPU}
	if goalLimit > 0 {
		r.Goals = append(r.Goals, ofFloor(r, goalLimit))
	}
	b.add(r)
	return nil
}

// alone measures without a floor.
func (b *bench) alone(ctx context.Context, scenario string, s *side) error {
	if err := b.turns(ctx, s); err != nil {
		return err
	}
	b.add(s.result(scenario))
	return nil
}
