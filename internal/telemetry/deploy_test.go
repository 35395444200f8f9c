package telemetry

import (
	"context"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"
)

const deploy = "../../deploy/"

// everyMetric returns a registry in which each metric has a value.
func everyMetric(t *testing.T) *prometheus.Registry {
	t.Helper()
	m := NewMetrics(someService)
	logs, _ := newTestLogs(t, "info", nil)
	l := startShipper(t, LogstashOptions{Addr: "127.0.0.1:1"}, quick)
	t.Cleanup(func() { closeIn(t, l, 0) })
	m.watchLogs(logs, l)
	pool, err := pgxpool.New(t.Context(), "postgres://127.0.0.1:1/nowhere") // does not connect by itself
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	m.WatchPool(pool)
	m.WatchStandby(func() bool { return true })
	m.WatchHashQueue(func() HashQueue { return HashQueue{} })
	m.WatchJobs(func(context.Context) ([]JobCount, error) {
		return []JobCount{{Kind: "k", State: "available", Jobs: 1}}, nil
	})
	m.RequestBegan()
	m.RequestDone("op", 500, "code", time.Second, DatabaseUse{Statements: 1})
	m.LimitHit("l")
	m.JobDone("k", JobDone, time.Second)
	m.LedgerCommitted(LedgerBatch{Postings: map[string]int{"debit": 1}, HoldEvents: map[string]int{"placed": 1}})
	return m.registry
}

// Names follow Prometheus's conventions, and everything has a help text.
func TestMetrics_Lint(t *testing.T) {
	t.Parallel()
	problems, err := testutil.GatherAndLint(everyMetric(t))
	require.NoError(t, err)
	require.Equal(t, []promlint.Problem(nil), problems)
}

// What alerts and dashboard ask for is exported.
func TestDeploy_MetricsExist(t *testing.T) {
	t.Parallel()
	families, err := everyMetric(t).Gather()
	require.NoError(t, err)
	exported := map[string]bool{}
	for _, f := range families {
		exported[f.GetName()] = true
		if f.GetType().String() == "HISTOGRAM" {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				exported[f.GetName()+part] = true
			}
		}
	}
	for _, file := range []string{"prometheus/alerts.yml", "prometheus/alerts_test.yml", "grafana/authservice.json"} {
		content, err := os.ReadFile(deploy + file)
		require.NoError(t, err)
		names := regexp.MustCompile(`\b(?:authservice|go|process)_[a-z_]+`).FindAllString(string(content), -1)
		require.Greater(t, len(names), 10, file)
		for _, name := range names {
			require.True(t, exported[name], "%s in %s", name, file)
		}
	}
}

// dashboard is what is looked at of a Grafana dashboard.
type dashboard struct {
	UID           string `json:"uid"`
	Title         string `json:"title"`
	SchemaVersion int    `json:"schemaVersion"`
	Panels        []struct {
		ID          int    `json:"id"`
		Type        string `json:"type"`
		Title       string `json:"title"`
		Description string `json:"description"`
		GridPos     struct {
			X, Y, W, H int
		} `json:"gridPos"`
		Datasource struct {
			UID string `json:"uid"`
		} `json:"datasource"`
		Targets []struct {
			RefID string `json:"refId"`
			Expr  string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
	Templating struct {
		List []struct {
			Name string `json:"name"`
		} `json:"list"`
	} `json:"templating"`
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	content, err := os.ReadFile(deploy + "grafana/authservice.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &d))
	return d
}

// The dashboard can be imported into any Grafana, and its panels do not overlap.
func TestDeploy_Dashboard(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	require.Equal(t, "authservice", d.UID)
	require.NotEmpty(t, d.Title)
	require.Positive(t, d.SchemaVersion)
	variables := map[string]bool{"__rate_interval": true} // Grafana's own
	for _, v := range d.Templating.List {
		variables[v.Name] = true
	}
	ids, cells, rows := map[int]bool{}, map[[2]int]bool{}, 0
	for _, p := range d.Panels {
		require.False(t, ids[p.ID], p.Title)
		ids[p.ID] = true
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				require.False(t, cells[[2]int{x, y}], p.Title)
				cells[[2]int{x, y}] = true
			}
		}
		if p.Type == "row" {
			rows++
			continue
		}
		require.NotEmpty(t, p.Title)
		require.NotEmpty(t, p.Description, p.Title)
		require.Equal(t, "${datasource}", p.Datasource.UID, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			require.NotEmpty(t, target.RefID, p.Title)
			for _, v := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				require.True(t, variables[v[1]], "%s in %s", v[0], p.Title)
			}
			require.Equal(t, strings.Count(target.Expr, "("), strings.Count(target.Expr, ")"), p.Title)
		}
	}
	require.Greater(t, rows, 5)
}
