// Package telemetry is what operators see: the logger. It imports nothing of
// ours, so that every other package may be handed what it makes.
package telemetry
