// Package jobs does later, and again if need be, what a request should not wait
// for: a job is a row that is inserted in the caller's transaction, so that it
// exists exactly if the change does, and is worked by one of the replicas. It
// also runs what is due at intervals, on one replica at a time.
//
// It is a thin layer on River, whose tables the migrations make. A job may run
// more than once: when a process dies in the middle of it, it is started again,
// unless its work and its end are one transaction (End).
// What a job means is for the packages that enqueue it to know; this one must
// not, and its users need not know River. Nor does it know what a Watcher makes
// of what it is told.
package jobs
