package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// LedgerBatch is what one commit of the ledger brought about.
type LedgerBatch struct {
	Operations int            // that it answered
	Accounts   int            // that it locked
	Waited     time.Duration  // of the oldest operation, until the batch began
	Took       time.Duration  // from the first statement to the commit
	Postings   map[string]int // transactions, by type
	HoldEvents map[string]int // changes of holds, by type
}

type ledgerMetrics struct {
	operations, accounts, waited, took prometheus.Histogram
	postings, holdEvents               *prometheus.CounterVec
}

func newLedgerMetrics() ledgerMetrics {
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Subsystem: "ledger", Name: name, Help: help, Buckets: buckets})
	}
	return ledgerMetrics{
		operations: histogram("batch_operations", "Operations that one commit of the ledger answered.", batchBuckets),
		accounts:   histogram("batch_accounts", "Accounts that one commit of the ledger locked.", batchBuckets),
		waited:     histogram("batch_wait_seconds", "How long the oldest operation of a batch waited for it to begin.", secondsBuckets),
		took:       histogram("batch_commit_seconds", "How long a batch took, from its first statement to its commit.", secondsBuckets),
		postings:   counter("ledger_postings_total", "Transactions of the ledger, by type.", "type"),
		holdEvents: counter("ledger_hold_events_total", "Changes of holds, by type.", "type"),
	}
}

func (l ledgerMetrics) register(r *prometheus.Registry) {
	r.MustRegister(l.operations, l.accounts, l.waited, l.took, l.postings, l.holdEvents)
}

// LedgerCommitted counts a commit of the ledger.
func (m *Metrics) LedgerCommitted(b LedgerBatch) {
	m.ledger.operations.Observe(float64(b.Operations))
	m.ledger.accounts.Observe(float64(b.Accounts))
	m.ledger.waited.Observe(b.Waited.Seconds())
	m.ledger.took.Observe(b.Took.Seconds())
	for kind, n := range b.Postings {
		m.ledger.postings.WithLabelValues(kind).Add(float64(n))
	}
	for kind, n := range b.HoldEvents {
		m.ledger.holdEvents.WithLabelValues(kind).Add(float64(n))
	}
}
