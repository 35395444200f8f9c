// Package telemetry is what operators see: the logger, and the metrics and
// profiles of the operations listener. It imports nothing of ours, so that every
// other package may be handed what it makes.
package telemetry
