package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

const (
	growthLimit = 1.3   // × the cost on a nearly empty database
	fewUsers    = 1_000 // there
)

// growth compares what requests cost on a nearly empty database and on a full one.
func (b *bench) growth(ctx context.Context) error {
	if b.database == nil {
		return errors.New("this writes users into the database: give --database-url")
	}
	// As many transactions in each account as later: a page of a history is as long.
	before, err := b.populate(ctx, fewUsers, 0, b.spendingEach())
	if err != nil {
		return err
	}
	empty, err := b.grown(ctx, before, "at first")
	if err != nil {
		return err
	}
	after, err := b.populate(ctx, b.o.users, 0, b.spendingEach())
	if err != nil {
		return err
	}
	full, err := b.grown(ctx, after, fmt.Sprintf("with %s users, %s transactions", number(b.o.users), number(b.o.transactions)))
	if err != nil {
		return err
	}
	for i, r := range full {
		r.Goals = costs(r, empty[i], growthLimit, "at first")
		b.add(empty[i])
		b.add(r)
	}
	return nil
}

// grown measures everything that could depend on how much there is.
func (b *bench) grown(ctx context.Context, accounts []uuid.UUID, when string) (results []*result, err error) {
	logins, err := b.sessions(ctx, b.o.connections)
	if err != nil {
		return nil, err
	}
	for _, s := range []*side{
		b.side("me", b.own("GET", "/v1/me", logins)),
		b.side("refresh", b.refreshes(logins)),
		b.side("balance", b.balances(accounts)),
		b.side("history", b.pages(accounts)),
		b.side("debit", b.debits(accounts)),
		b.side("grant", b.granting(accounts)),
		b.side("login", b.passwordLogins(accounts)),
	} {
		if s.what == "login" {
			s.connections = min(s.connections, loginConnections)
		}
		s.what += " " + when
		if err := b.turns(ctx, s); err != nil {
			return nil, err
		}
		results = append(results, s.result("growth"))
	}
	return results, nil
}

// fill fills the database and measures nothing.
func (b *bench) fill(ctx context.Context) error {
	if b.database == nil {
		return errors.New("this writes users into the database: give --database-url")
	}
	people, err := b.populate(ctx, b.o.users, 0, b.spendingEach())
	if err == nil {
		b.people = people
	}
	return err
}

// spendingEach is how many transactions each user has but the last grant.
func (b *bench) spendingEach() int { return b.o.transactions/b.o.users - 1 }
