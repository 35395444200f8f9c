// Package bcryptworker runs bcrypt in a process of its own, which gives way to all
// others: a flood of logins leaves the processors to everything else.
//
// Threads of low priority in the service itself would not do: Go hands such a
// thread requests that wait to be served, and there they wait until it is given
// time. And low priority is not all: between its rounds bcrypt offers the processor
// to others, which golang.org/x/crypto/bcrypt cannot.
//
// The package knows nothing of users, nor of what is stored of a password besides
// the hash. The process knows nothing but what it is asked: it is given no settings.
package bcryptworker
