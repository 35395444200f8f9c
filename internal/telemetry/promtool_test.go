//go:build promtool

package telemetry

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// promtool runs Prometheus's own judge. It comes with Prometheus, which is why
// these tests are not run by everybody.
func promtool(t *testing.T, input string, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Dir = deploy + "prometheus"
	cmd.Stdin = strings.NewReader(input)
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "promtool %s\n%s", strings.Join(args, " "), output)
}

func TestPromtool_Alerts(t *testing.T) {
	t.Parallel()
	promtool(t, "", "check", "rules", "alerts.yml")
	promtool(t, "", "test", "rules", "alerts_test.yml")
	promtool(t, "", "check", "config", "--syntax-only", "prometheus.yml")
	promtool(t, "", "check", "config", "--lint=all", "../compose/prometheus.yml")
}

// Every query of the dashboard is one that Prometheus understands.
func TestPromtool_Dashboard(t *testing.T) {
	t.Parallel()
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			expr := strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$instance", ".*").Replace(target.Expr)
			rules = append(rules, rule{fmt.Sprintf("panel_%d_%s", p.ID, strings.ToLower(target.RefID)), expr})
		}
	}
	require.Greater(t, len(rules), 30)
	groups, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}}) // JSON is YAML
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "rules.yml")
	require.NoError(t, os.WriteFile(file, groups, 0o600))
	promtool(t, "", "check", "rules", file)
}

func TestPromtool_Scrape(t *testing.T) {
	t.Parallel()
	promtool(t, ask(opsHandler(everyMetric(t), nil, discard), "GET", "/metrics", "").Body.String(), "check", "metrics")
}
