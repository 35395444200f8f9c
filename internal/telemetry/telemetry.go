package telemetry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// scope is the instrumentation scope of our own spans.
const scope = "github.com/authservice/authservice"

// flushTimeout is how long Close may take.
const flushTimeout = 5 * time.Second

// Options are what Open needs.
type Options struct {
	Service  Service
	Out      io.Writer        // where lines go
	Text     bool             // for people, in place of JSON
	Color    bool             // with Text
	Levels   string           // see Levels.Set
	Logstash *LogstashOptions // nil for none
	Traces   bool             // whether the OTEL_ variables of the process count
}

// Telemetry is what operators see of one service.
type Telemetry struct {
	*Logs
	*Metrics

	logstash *Logstash
	spans    *sdktrace.TracerProvider // nil for none
}

// Open makes the parts, and begins to ship lines and spans where it is asked to.
// Errors name the setting that is wrong.
func Open(ctx context.Context, o Options) (*Telemetry, error) {
	levels, err := NewLevels(o.Levels)
	if err != nil {
		return nil, errors.New("AUTH_LOG_LEVEL: " + err.Error())
	}
	t := &Telemetry{Metrics: NewMetrics(o.Service)}
	logs := LogOptions{Service: o.Service, Levels: levels, Out: o.Out, Text: o.Text, Color: o.Color}
	if o.Logstash != nil {
		t.logstash = newLogstash(*o.Logstash, defaultTimes)
		logs.Ship = t.logstash
	}
	t.Logs = NewLogs(logs)
	if t.logstash != nil {
		t.logstash.start(t.local()) //nolint:contextcheck // it goes on until Close
	}
	t.watchLogs(t.Logs, t.logstash)
	if o.Traces {
		if t.spans, err = startTraces(ctx, o.Service, Seldom(t.Logger("telemetry"), time.Minute)); err != nil {
			t.Close(ctx)
			return nil, err
		}
	}
	return t, nil
}

// Spans is what makes spans; nil where there are no traces.
func (t *Telemetry) Spans() trace.TracerProvider {
	if t.spans == nil {
		return nil
	}
	return t.spans
}

// DatabaseTracer is for the pool of database connections.
func (t *Telemetry) DatabaseTracer() pgx.QueryTracer { return newDatabaseTracer(t.Spans()) }

// Jobs watches the jobs.
func (t *Telemetry) Jobs() *Jobs {
	return &Jobs{log: t.Logger("jobs"), metrics: t.Metrics, spans: t.Spans()}
}

// OpsHandler serves the operations listener.
func (t *Telemetry) OpsHandler() http.Handler {
	return opsHandler(t.registry, t.levels, t.Logger("telemetry"))
}

// Close sends what waits, for five seconds at the most.
func (t *Telemetry) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	var parts sync.WaitGroup
	if t.spans != nil {
		parts.Go(func() {
			if err := t.spans.Shutdown(ctx); err != nil {
				t.Logger("telemetry").WarnContext(ctx, "traces were lost", "error", err)
			}
		})
	}
	if t.logstash != nil {
		parts.Go(func() { t.logstash.Close(ctx) })
	}
	parts.Wait()
}
