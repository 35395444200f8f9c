package telemetry

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// opsHandler serves /metrics, /log-level and /debug/pprof. It belongs on a private listener.
func opsHandler(registry *prometheus.Registry, levels *Levels, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /log-level", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, levels.String()+"\n")
	})
	mux.HandleFunc("PUT /log-level", setLevels(levels, log))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// setLevels sets the levels to the body, until the process ends.
func setLevels(levels *Levels, log *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1024))
		before := levels.String()
		if err == nil {
			err = levels.Set(string(text))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		log.WarnContext(r.Context(), "log levels changed", "before", before, "after", levels.String())
		_, _ = io.WriteString(w, levels.String()+"\n")
	}
}
