package main

import (
	"context"
	"errors"
	"fmt"
	"os"
)

const (
	memoryLimit = 100 // MB at 64 connections
	binaryLimit = 40  // MB
	startLimit  = 1   // seconds, on a migrated database
	megabyte    = 1e6
)

// fact is a single number that is worth knowing.
type fact struct {
	Name string `json:"name"`
	Goal goal   `json:"goal"`
	Unit string `json:"unit"`
}

// footprint measures how large the program is, how much memory it takes under
// load, and how soon it is ready.
func (b *bench) footprint(ctx context.Context) error {
	if b.dev == nil {
		return errors.New("this starts the service again, and is not for --url")
	}
	file, err := programOf(b.dev.pid)
	if err != nil {
		return fmt.Errorf("finding the program of the service: %w", err)
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	b.facts = append(b.facts, fact{Name: "program", Unit: "MB", Goal: atMost("", float64(info.Size())/megabyte, binaryLimit)})

	accounts, err := b.accounts(ctx)
	if err != nil {
		return err
	}
	s := b.side("debits", b.debits(accounts))
	if err := b.turns(ctx, s); err != nil {
		return err
	}
	b.facts = append(b.facts, fact{
		Name: fmt.Sprintf("memory, most so far, after debits over %d connections", s.connections), Unit: "MB",
		Goal: atMost("", float64(peakMemory(b.dev.pid))/megabyte, memoryLimit),
	})

	b.progress.say("starting the service again")
	took, err := b.restart(ctx)
	if err != nil {
		return err
	}
	b.facts = append(b.facts, fact{Name: "start to ready on a migrated database, that of its private PostgreSQL included", Unit: "s", Goal: atMost("", took.Seconds(), startLimit)})
	return nil
}
