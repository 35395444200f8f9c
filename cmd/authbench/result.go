package main

import (
	"fmt"
	"maps"
	"time"
)

// result is a line of the table, and an object of the JSON.
type result struct {
	Scenario    string           `json:"scenario"`
	Name        string           `json:"name"`
	Connections int              `json:"connections"`
	Seconds     float64          `json:"seconds"`
	Requests    int64            `json:"requests"` // answered with 2xx
	Rate        float64          `json:"rate"`     // of those, per second
	Latency     latencies        `json:"latency_ms"`
	Failures    map[string]int64 `json:"failures,omitempty"` // other answers by status, and broken connections
	CPU         cpu              `json:"cpu_us_per_request"`
	Others      *float64         `json:"others,omitempty"` // share of the processors that went to other programs
	Floor       *floor           `json:"floor,omitempty"`
	Bare        *floor           `json:"bare,omitempty"` // the floor of a floor: less than the same work
	Goals       []goal           `json:"goals,omitempty"`
}

type latencies struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// cpu is processor time per request in microseconds; nil where it is not known.
type cpu struct {
	Service  *float64 `json:"service,omitempty"`
	Database *float64 `json:"database,omitempty"`
	Client   *float64 `json:"client,omitempty"`
}

// floor is the least that the same work costs.
type floor struct {
	What string  `json:"what"`
	Rate float64 `json:"rate"`
	CPU  cpu     `json:"cpu_us_per_request"`
}

// goal is what a value has to be.
type goal struct {
	What    string  `json:"what"`
	Value   float64 `json:"value"`
	Limit   float64 `json:"limit"`
	AtMost  bool    `json:"at_most,omitempty"` // or at least
	Reached bool    `json:"reached"`
}

// ofFloor is a goal for the part of its floor's rate that a result reaches.
func ofFloor(r *result, limit float64) goal {
	value := r.Rate / r.Floor.Rate
	return goal{What: "rate / floor", Value: value, Limit: limit, Reached: value >= limit}
}

func atMost(what string, value, limit float64) goal {
	return goal{What: what, Value: value, Limit: limit, AtMost: true, Reached: value <= limit}
}

func (g goal) String() string { return g.in("") }

// in writes a goal of so many of a unit.
func (g goal) in(unit string) string {
	if unit != "" {
		unit = " " + unit
	}
	sign, verdict := "≥", "missed"
	if g.AtMost {
		sign = "≤"
	}
	if g.Reached {
		verdict = "reached"
	}
	return fmt.Sprintf("%s %.2f%s (goal %s %g%s: %s)", g.What, g.Value, unit, sign, g.Limit, unit, verdict)
}

// measured is what came of a load, and what it cost.
type measured struct {
	*samples
	usage usage
}

func (m *measured) add(o *measured) {
	m.samples.add(o.samples)
	m.usage = m.usage.plus(o.usage)
}

func (m *measured) result(scenario, name string, connections int) *result {
	r := &result{
		Scenario: scenario, Name: name, Connections: connections,
		Seconds: m.seconds, Requests: m.done, Rate: m.rate(),
		Latency: latencies{
			P50: ms(m.quantile(0.50)), P95: ms(m.quantile(0.95)), P99: ms(m.quantile(0.99)),
			Max: float64(m.latency.Max()) / 1000,
		},
		CPU: m.usage.per(m.done + m.failed()), Others: m.usage.others(),
	}
	if m.failed() > 0 {
		r.Failures = maps.Clone(m.broken)
		for status, n := range m.statuses {
			r.Failures[fmt.Sprint(status)] = n
		}
	}
	return r
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// per is what each of n requests cost.
func (u usage) per(n int64) cpu {
	each := func(d time.Duration) *float64 {
		if d == 0 || n == 0 {
			return nil
		}
		us := float64(d.Microseconds()) / float64(n)
		return &us
	}
	return cpu{Service: each(u.service), Database: each(u.database), Client: each(u.client)}
}

// server is what service and database cost together, 0 when one is not known.
func (c cpu) server() float64 {
	if c.Service == nil || c.Database == nil {
		return 0
	}
	return *c.Service + *c.Database
}

// total is all that is known.
func (c cpu) total() (sum float64) {
	for _, part := range []*float64{c.Service, c.Database, c.Client} {
		if part != nil {
			sum += *part
		}
	}
	return sum
}
