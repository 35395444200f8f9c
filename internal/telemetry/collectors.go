package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// collector reads numbers when they are asked for. Descriptions are checked when
// the first are sent.
type collector struct {
	collect func(chan<- prometheus.Metric)
}

// Describe implements prometheus.Collector: nothing is promised.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) { c.collect(to) }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

// number is one number that is read when it is asked for.
type number struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	labels []string
}

func gauge(name, help string) number { return number{describe(name, help), prometheus.GaugeValue, nil} }

func count(name, help string) number {
	return number{describe(name, help), prometheus.CounterValue, nil}
}

func (n number) send(to chan<- prometheus.Metric, value float64) {
	to <- prometheus.MustNewConstMetric(n.desc, n.kind, value, n.labels...)
}

// WatchPool exports the state of the pool of database connections.
func (m *Metrics) WatchPool(pool *pgxpool.Pool) {
	connections := describe("database_connections", "Connections to the database, by state.", "state")
	state := func(name string) number { return number{connections, prometheus.GaugeValue, []string{name}} }
	var (
		acquired     = state("acquired")
		idle         = state("idle")
		constructing = state("constructing")
		most         = gauge("database_connections_max", "Most connections that there may be.")
		acquires     = count("database_acquires_total", "Connections that were taken from the pool.")
		waits        = count("database_acquire_waits_total", "Connections that were waited for, because none was free.")
		waitSeconds  = count("database_acquire_wait_seconds_total", "How long connections were waited for.")
		canceled     = count("database_acquires_canceled_total", "Connections that were waited for in vain.")
		opened       = count("database_connections_opened_total", "Connections that were opened.")
	)
	m.registry.MustRegister(collector{func(to chan<- prometheus.Metric) {
		s := pool.Stat()
		acquired.send(to, float64(s.AcquiredConns()))
		idle.send(to, float64(s.IdleConns()))
		constructing.send(to, float64(s.ConstructingConns()))
		most.send(to, float64(s.MaxConns()))
		acquires.send(to, float64(s.AcquireCount()))
		waits.send(to, float64(s.EmptyAcquireCount()))
		waitSeconds.send(to, s.EmptyAcquireWaitTime().Seconds())
		canceled.send(to, float64(s.CanceledAcquireCount()))
		opened.send(to, float64(s.NewConnsCount()))
	}})
}

// WatchStandby exports whether reads go to a standby.
func (m *Metrics) WatchStandby(near func() bool) {
	reads := gauge("database_standby_near", "1 while the standby is near enough to be read, 0 while all reads go to the primary.")
	m.registry.MustRegister(collector{func(to chan<- prometheus.Metric) {
		value := 0.0
		if near() {
			value = 1
		}
		reads.send(to, value)
	}})
}

// HashQueue is the state of the queue of passwords that are to be hashed.
type HashQueue struct {
	Running, Waiting int64
	Slots, Queue     int64 // most that may run and wait
	Done, Refused    int64 // since the start
	Time             time.Duration
}

// WatchHashQueue exports the state that read returns.
func (m *Metrics) WatchHashQueue(read func() HashQueue) {
	var (
		running = gauge("password_hashes_running", "Passwords that are being hashed or compared.")
		waiting = gauge("password_hashes_waiting", "Passwords that wait for it.")
		slots   = gauge("password_hash_slots", "Most passwords that are hashed at once.")
		queue   = gauge("password_hash_queue_max", "Most passwords that may wait.")
		done    = count("password_hashes_total", "Passwords that were hashed or compared.")
		seconds = count("password_hash_seconds_total", "How long that took.")
		refused = count("password_hashes_refused_total", "Passwords that were sent away, because too many waited or for too long.")
	)
	m.registry.MustRegister(collector{func(to chan<- prometheus.Metric) {
		q := read()
		running.send(to, float64(q.Running))
		waiting.send(to, float64(q.Waiting))
		slots.send(to, float64(q.Slots))
		queue.send(to, float64(q.Queue))
		done.send(to, float64(q.Done))
		seconds.send(to, q.Time.Seconds())
		refused.send(to, float64(q.Refused))
	}})
}

// JobCount is how many jobs of a kind are in a state.
type JobCount struct {
	Kind, State string
	Jobs        int64
	Oldest      time.Time // when the one that is longest due was due
}

const (
	// jobCountsCached is how long counts are good for: they are the same for all
	// replicas, and cost the database some work.
	jobCountsCached  = 10 * time.Second
	jobCountsTimeout = 2 * time.Second
)

// WatchJobs exports the counts that read returns. While it fails there are none.
func (m *Metrics) WatchJobs(read func(context.Context) ([]JobCount, error)) {
	jobs := describe("jobs", "Jobs that are not done, by kind and state. All replicas export the same.", "kind", "state")
	age := describe("jobs_oldest_due_seconds", "How long the oldest job that waits or is being retried has been due, by kind.", "kind")
	var (
		mu     sync.Mutex
		counts []JobCount
		at     time.Time
	)
	m.registry.MustRegister(collector{func(to chan<- prometheus.Metric) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(at) > jobCountsCached {
			ctx, cancel := context.WithTimeout(context.Background(), jobCountsTimeout)
			defer cancel()
			counts, _ = read(ctx) // its failure is the database's, which the pool and readiness tell of
			at = time.Now()
		}
		oldest := map[string]time.Duration{}
		for _, c := range counts {
			to <- prometheus.MustNewConstMetric(jobs, prometheus.GaugeValue, float64(c.Jobs), c.Kind, c.State)
			if c.State == "available" || c.State == "retryable" {
				oldest[c.Kind] = max(oldest[c.Kind], time.Since(c.Oldest))
			}
		}
		for kind, d := range oldest {
			to <- prometheus.MustNewConstMetric(age, prometheus.GaugeValue, d.Seconds(), kind)
		}
	}})
}
