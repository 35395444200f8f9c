package check

import (
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/config"
)

// exampleEnvironment is .env.example, filled in.
func exampleEnvironment(t *testing.T) (filled, empty map[string]string) {
	t.Helper()
	empty, err := dotenv.Read(filepath.Join(deploy, "compose/.env.example"))
	require.NoError(t, err)
	filled = maps.Clone(empty)
	for name := range filled {
		if strings.HasSuffix(name, "PASSWORD") && !strings.HasPrefix(name, "AUTH_") {
			filled[name] = goodPassword
		}
	}
	filled["AUTH_PUBLIC_URL"], filled["AUTH_ENCRYPTION_KEY"] = "https://auth.example.com", goodKey
	return filled, empty
}

// loadCompose reads compose.yaml as docker compose does.
func loadCompose(t *testing.T, environment map[string]string) (*types.Project, error) {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(deploy, "compose"))
	require.NoError(t, err)
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: dir, ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml")}}, Environment: environment,
	})
}

func compose(t *testing.T) *types.Project {
	t.Helper()
	filled, _ := exampleEnvironment(t)
	project, err := loadCompose(t, filled)
	require.NoError(t, err)
	return project
}

// composeEnvironment is what a service's process sees.
func composeEnvironment(s types.ServiceConfig) map[string]string {
	seen := map[string]string{}
	for name, value := range s.Environment {
		seen[name] = *value
	}
	return seen
}

// Nothing starts while a secret is missing, and compose says which.
func TestCompose_MissingSecrets(t *testing.T) {
	t.Parallel()
	filled, empty := exampleEnvironment(t)
	_, err := loadCompose(t, empty)
	require.Error(t, err)
	var needed []string
	for name := range filled {
		if filled[name] == empty[name] {
			continue
		}
		needed = append(needed, name)
		without := maps.Clone(filled)
		without[name] = ""
		_, err := loadCompose(t, without)
		require.ErrorContains(t, err, name+" is missing a value: is missing")
	}
	require.Len(t, needed, 7)
}

func TestCompose_Services(t *testing.T) {
	t.Parallel()
	project := compose(t)
	require.ElementsMatch(t, []string{
		"nginx", "authservice-1", "authservice-2", "migrate", "pgbouncer", "postgres", "logstash", "elasticsearch", "prometheus", "grafana",
	}, project.ServiceNames())
	pinned := regexp.MustCompile(`:v?\d+\.\d+[^:]*$`)
	for name, s := range project.Services {
		if s.Build == nil {
			require.Regexp(t, pinned, s.Image, name)
		} else {
			_, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile))
			require.NoError(t, err, name)
		}
		require.Equal(t, []string{"ALL"}, s.CapDrop, name)
		require.Equal(t, []string{"no-new-privileges:true"}, s.SecurityOpt, name)
		require.True(t, s.ReadOnly || slices.Contains([]string{"logstash", "elasticsearch"}, name), name)
		for _, volume := range s.Volumes {
			if volume.Type == types.VolumeTypeBind && filepath.Base(volume.Source) != "tls" {
				require.True(t, volume.ReadOnly, volume.Source)
				_, err := os.Stat(volume.Source)
				require.NoError(t, err, name)
			}
		}
		for on, how := range s.DependsOn {
			checked := project.Services[on].HealthCheck // nil for the image's, which ours has
			switch how.Condition {
			case types.ServiceConditionHealthy:
				require.True(t, checked != nil && !checked.Disable || strings.HasPrefix(on, "authservice-"), on)
			case types.ServiceConditionCompletedSuccessfully:
				require.True(t, checked.Disable, on)
			default:
				t.Errorf("%s does not wait for %s", name, on)
			}
		}
		for _, port := range s.Ports {
			require.True(t, name == "nginx" || port.HostIP == "127.0.0.1", name)
		}
	}
	require.True(t, project.Networks["data"].Internal)
}

func TestCompose_Settings(t *testing.T) {
	t.Parallel()
	project := compose(t)
	first := project.Services["authservice-1"]
	seen := composeEnvironment(first)
	require.Equal(t, seen, composeEnvironment(project.Services["authservice-2"]))
	c := requireSettings(t, environment(seen))
	require.Greater(t, time.Duration(*first.StopGracePeriod), *c.HTTP.DrainDelay+c.HTTP.ShutdownTimeout+4*time.Second)
	require.Nil(t, first.HealthCheck, "the image's holds")

	_, err := config.DatabaseURL(environment(composeEnvironment(project.Services["migrate"])))
	require.NoError(t, err)
}

// What the files say of each other is so.
func TestCompose_References(t *testing.T) {
	t.Parallel()
	project := compose(t)
	seen := composeEnvironment(project.Services["authservice-1"])
	proxy := netip.MustParseAddr(project.Services["nginx"].Networks["edge"].Ipv4Address)
	require.Equal(t, proxy.String(), seen["AUTH_TRUSTED_PROXIES"])
	subnet := netip.MustParsePrefix(project.Networks["edge"].Ipam.Config[0].Subnet)
	require.True(t, subnet.Contains(proxy))

	nginx, prometheus := read(t, "compose/nginx.conf"), read(t, "compose/prometheus.yml")
	for _, name := range []string{"authservice-1", "authservice-2"} {
		require.True(t, subnet.Contains(netip.MustParseAddr(project.Services[name].Networks["edge"].Ipv4Address)))
		require.Contains(t, nginx, "server "+name+":8080")
		require.Contains(t, prometheus, name+seen["AUTH_OPS_ADDR"])
	}
	require.Contains(t, read(t, "logstash/pipeline.conf"), "port  => "+strings.TrimPrefix(seen["AUTH_LOGSTASH_ADDR"], "logstash:"))
	for name := range composeEnvironment(project.Services["logstash"]) {
		if strings.HasPrefix(name, "ELASTICSEARCH_") {
			require.Contains(t, read(t, "logstash/pipeline.conf"), "${"+name+"}")
		}
	}
	require.Contains(t, seen["DATABASE_URL"], "@pgbouncer:6432/")
	require.Contains(t, read(t, "compose/pgbouncer.ini"), "\nlisten_port = 6432\n")
	require.Contains(t, read(t, "compose/pgbouncer.ini"), "auth_file = "+composeEnvironment(project.Services["pgbouncer"])["AUTH_FILE"])
}
