// Package telemetry is what operators see: log lines, on standard output and at a
// Logstash; metrics, profiles and levels on the operations listener; traces. It
// imports nothing of ours, and the rooms that decide things do not import it: they
// are handed a logger, a listener, a small function.
//
// A line is written with log/slog by the logger of a room (Rooms) and gets from its
// context what it belongs to: a Work, which is one request or one attempt at a job
// and is filled while things are done for it, and a span. Names are those of the
// Elastic Common Schema, ours begin with "authservice." (ecs.go); what is personal
// or secret, too long, or a control character does not get through (clean.go).
//
// Labels of metrics come from our code and the contract, never from a request.
package telemetry
