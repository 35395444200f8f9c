// Package audit is what happened: one event per change of state and per
// authentication, written in the transaction that it speaks of, so that there
// is neither a change without its event nor an event without its change.
//
// Events are append-only, also for the service's own database role. They hold
// ids, roles and reasons, never secrets; network addresses stand apart, so that
// a person's can be erased. Types are names of the OWASP logging vocabulary,
// extended in its manner. Listeners hear of events once they are committed.
package audit
