package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// LedgerBatch is what one commit of the ledger brought about.
type LedgerBatch struct {
	Operations int           // requests that were answered by it
	Accounts   int           // that it locked
	Wait       time.Duration // of the oldest request, until the batch began
	Locked     time.Duration // during which the accounts were locked
	Commit     time.Duration
	Postings   map[string]int // transactions, by type
	Refusals   map[string]int // requests that were refused, by code
}

type ledgerMetrics struct {
	operations, accounts, wait, locked, commit prometheus.Histogram
	postings, refusals                         *prometheus.CounterVec
}

func newLedgerMetrics() ledgerMetrics {
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Subsystem: "ledger", Name: name, Help: help, Buckets: buckets})
	}
	return ledgerMetrics{
		operations: histogram("batch_operations", "Requests that one commit of the ledger answered.", batchBuckets),
		accounts:   histogram("batch_accounts", "Accounts that one commit of the ledger touched.", batchBuckets),
		wait:       histogram("batch_wait_seconds", "How long the oldest request of a batch waited for it to begin.", secondsBuckets),
		locked:     histogram("batch_locked_seconds", "How long a batch held the locks of its accounts.", secondsBuckets),
		commit:     histogram("batch_commit_seconds", "How long the commit of a batch took.", secondsBuckets),
		postings:   counter("ledger_postings_total", "Transactions of the ledger, by type.", "type"),
		refusals:   counter("ledger_refusals_total", "Requests that the ledger refused, by code.", "code"),
	}
}

func (l ledgerMetrics) register(r *prometheus.Registry) {
	r.MustRegister(l.operations, l.accounts, l.wait, l.locked, l.commit, l.postings, l.refusals)
}

// LedgerCommitted counts a commit of the ledger.
func (m *Metrics) LedgerCommitted(b LedgerBatch) {
	m.ledger.operations.Observe(float64(b.Operations))
	m.ledger.accounts.Observe(float64(b.Accounts))
	m.ledger.wait.Observe(b.Wait.Seconds())
	m.ledger.locked.Observe(b.Locked.Seconds())
	m.ledger.commit.Observe(b.Commit.Seconds())
	for kind, n := range b.Postings {
		m.ledger.postings.WithLabelValues(kind).Add(float64(n))
	}
	for code, n := range b.Refusals {
		m.ledger.refusals.WithLabelValues(code).Add(float64(n))
	}
}
