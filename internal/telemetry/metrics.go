package telemetry

import (
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

const namespace = "authservice"

// Buckets of histograms, in seconds and in pieces.
var (
	secondsBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	jobBuckets     = []float64{.01, .05, .1, .5, 1, 5, 10, 30, 60, 120}
	batchBuckets   = prometheus.ExponentialBuckets(1, 2, 11) // 1 … 1024
)

// Metrics are the numbers of one service. Every label has few values, which our
// code and the contract name: operations, codes, kinds; never paths or people.
type Metrics struct {
	registry *prometheus.Registry

	inFlight   prometheus.Gauge
	requests   *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	refusals   *prometheus.CounterVec
	dbSeconds  *prometheus.CounterVec
	statements *prometheus.CounterVec
	rows       *prometheus.CounterVec

	limitHits  *prometheus.CounterVec
	jobs       *prometheus.CounterVec
	jobSeconds *prometheus.HistogramVec
	ledger     ledgerMetrics
}

// NewMetrics returns metrics with a registry of their own: tests start several
// services in one process.
func NewMetrics(s Service) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "http_requests_in_flight", Help: "Requests that are being answered."}),
		requests: counter("http_requests_total", "Requests that were answered, by operationId and status.", "operation", "status"),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "http_request_duration_seconds", Help: "How long requests took, by operationId.", Buckets: secondsBuckets,
		}, []string{"operation"}),
		refusals:   counter("http_refusals_total", "Problems that requests, and operations of batches, were answered with, by code.", "code"),
		dbSeconds:  counter("http_database_seconds_total", "Time that requests waited for the database, by operationId.", "operation"),
		statements: counter("http_database_statements_total", "Statements that requests sent to the database, by operationId.", "operation"),
		rows:       counter("http_database_rows_total", "Rows that these returned or changed, by operationId.", "operation"),
		limitHits:  counter("limit_hits_total", "Attempts beyond a limit, by limit.", "limit"),
		jobs:       counter("job_attempts_total", "Attempts at jobs, by kind and outcome: done, retry (failed, and will be tried again), failed (for good), moot.", "kind", "outcome"),
		jobSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "job_duration_seconds", Help: "How long attempts at jobs took, by kind.", Buckets: jobBuckets,
		}, []string{"kind"}),
		ledger: newLedgerMetrics(),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
		buildInfo(s),
		m.inFlight, m.requests, m.durations, m.refusals, m.dbSeconds, m.statements, m.rows,
		m.limitHits, m.jobs, m.jobSeconds,
	)
	m.ledger.register(m.registry)
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func buildInfo(s Service) prometheus.Collector {
	revision := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				revision = setting.Value
			}
		}
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1, with what runs here.",
		ConstLabels: prometheus.Labels{"version": s.Version, "revision": revision, "goversion": runtime.Version(), "environment": s.Environment},
	})
	g.Set(1)
	return g
}

// RequestBegan counts a request that is being answered.
func (m *Metrics) RequestBegan() { m.inFlight.Inc() }

// RequestDone counts an answer. Operation is empty outside the contract, code
// where there is no problem.
func (m *Metrics) RequestDone(operation string, status int, code string, took time.Duration, db DatabaseUse) {
	if operation == "" {
		operation = "none"
	}
	m.inFlight.Dec()
	m.requests.WithLabelValues(operation, statusText(status)).Inc()
	m.durations.WithLabelValues(operation).Observe(took.Seconds())
	if code != "" {
		m.Refused(code)
	}
	if db.Statements > 0 {
		m.dbSeconds.WithLabelValues(operation).Add(db.Time.Seconds())
		m.statements.WithLabelValues(operation).Add(float64(db.Statements))
		m.rows.WithLabelValues(operation).Add(float64(db.Rows))
	}
}

// Refused counts a problem by its code: that of a request, or of one operation
// in a batch that is answered as a whole.
func (m *Metrics) Refused(code string) { m.refusals.WithLabelValues(code).Inc() }

// statusTexts saves an allocation a request.
var statusTexts = func() (texts [600]string) {
	for status := range texts {
		texts[status] = strconv.Itoa(status)
	}
	return texts
}()

func statusText(status int) string {
	if status < 0 || status >= len(statusTexts) {
		return "other"
	}
	return statusTexts[status]
}

// LimitHit counts an attempt beyond a limit.
func (m *Metrics) LimitHit(limit string) { m.limitHits.WithLabelValues(limit).Inc() }

// Outcomes of an attempt at a job.
const (
	JobDone   = "done"
	JobRetry  = "retry"  // failed, and will be tried again
	JobFailed = "failed" // for good
	JobMoot   = "moot"   // given up: there was nothing to do, or nothing to be done
)

// JobDone counts an attempt at a job.
func (m *Metrics) JobDone(kind, outcome string, took time.Duration) {
	m.jobs.WithLabelValues(kind, outcome).Inc()
	m.jobSeconds.WithLabelValues(kind).Observe(took.Seconds())
}

// watchLogs exports what becomes of lines; shipper may be nil.
func (m *Metrics) watchLogs(logs *Logs, shipper *Logstash) {
	for _, level := range levelNames {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: "log_lines_total", Help: "Lines that were logged, by level.", ConstLabels: prometheus.Labels{"level": levelName(level)},
		}, func() float64 { return float64(logs.Written(level)) }))
	}
	if shipper == nil {
		return
	}
	var (
		delivered = count("logstash_lines_delivered_total", "Log lines that the receiver has.")
		dropped   = count("logstash_lines_dropped_total", "Log lines that were not shipped, because too many waited.")
		failures  = count("logstash_failures_total", "Connections to the receiver that failed or broke.")
		queue     = gauge("logstash_queue_bytes", "Log lines that wait, in bytes.")
		up        = gauge("logstash_up", "Whether the last connection to the receiver went well.")
	)
	m.registry.MustRegister(collector{func(to chan<- prometheus.Metric) {
		s := shipper.Stats()
		delivered.send(to, float64(s.Delivered))
		dropped.send(to, float64(s.Dropped))
		failures.send(to, float64(s.Failures))
		queue.send(to, float64(s.QueueBytes))
		up.send(to, map[bool]float64{true: 1}[s.Up])
	}})
}
