package faults

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/pgdb"
)

// Patroni is a cluster of three PostgreSQL servers that replicate synchronously
// and choose another leader when theirs dies, with HAProxy in front of it.
type Patroni struct {
	t       testing.TB
	nodes   []*node
	haproxy string // where the leader is reached
}

// node is one server, and the Patroni that looks after it.
type node struct {
	*daemon
	name, sql, api, data string // addresses and the data directory
}

// StartPatroni starts one with a migrated database, until the test ends.
func StartPatroni(t testing.TB) *Patroni {
	t.Helper()
	r := newRoom(t)
	addresses := freeAddresses(t, 10)
	etcd, peer, stats := addresses[0], addresses[1], addresses[9]
	d := r.start(t, "etcd", "etcd", "--data-dir", filepath.Join(r.dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", "http://"+etcd, "--advertise-client-urls", "http://"+etcd,
		"--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer, "--initial-cluster", "default=http://"+peer)
	d.until(30*time.Second, "the start", func() bool { return status("http://"+etcd+"/health") == http.StatusOK })

	p, bin := &Patroni{t: t, haproxy: addresses[2]}, binDir(t)
	for i := range 3 {
		n := &node{name: fmt.Sprint("node", i+1), sql: addresses[3+2*i], api: addresses[4+2*i]}
		n.data = filepath.Join(r.dir, n.name)
		n.daemon = r.start(t, "patroni-"+n.name, "patroni", r.write(t, n.name+".yml", n.config(etcd, bin)))
		t.Cleanup(n.stop)
		p.nodes = append(p.nodes, n)
	}
	p.nodes[0].until(2*time.Minute, "the election of a leader", func() bool { return p.leader() != nil })
	p.prepare()
	p.nodes[0].until(2*time.Minute, "the start of replication", func() bool { return p.Replicas() == 2 && p.isSynchronous() })

	r.start(t, "haproxy", "haproxy", "-db", "-f", r.write(t, "haproxy.cfg", p.haproxyConfig(stats))).
		until(30*time.Second, "the first look at all nodes", func() bool { return p.balanced(stats) == 1 })
	return p
}

// config is a node's. What is short is so in order that a test is.
func (n *node) config(etcd, bin string) string {
	return fmt.Sprintf(`scope: authservice
name: %[1]s
restapi: {listen: %[2]q, connect_address: %[2]q}
etcd3: {host: %[3]q}
bootstrap:
  dcs:
    ttl: 10
    loop_wait: 1
    retry_timeout: 3
    synchronous_mode: true
    postgresql:
      use_pg_rewind: false
      parameters: {max_connections: 100, shared_buffers: 32MB}
  initdb: [encoding: UTF8, locale: C.UTF-8]
  pg_hba: ["host all all 127.0.0.1/32 scram-sha-256", "host replication all 127.0.0.1/32 scram-sha-256", "local all all scram-sha-256"]
postgresql:
  listen: %[4]q
  connect_address: %[4]q
  data_dir: %[5]q
  bin_dir: %[6]q
  pgpass: %[5]s.pgpass
  basebackup: [checkpoint: fast]
  parameters: {unix_socket_directories: ""}
  authentication:
    superuser: {username: postgres, password: %[7]s}
    replication: {username: replicator, password: %[7]s}
`, n.name, n.api, etcd, n.sql, n.data, bin, password)
}

// binDir is where the newest server that is installed has its programs.
func binDir(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	require.NoError(t, err)
	require.NotEmpty(t, found, "the package postgresql must be installed")
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1])
}

// haproxyConfig has it send everybody to the server that calls itself the leader.
func (p *Patroni) haproxyConfig(stats string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `listen stats
  bind %s
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
  stats enable
  stats uri /
defaults
  mode tcp
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  timeout check 2s
listen leader
  bind %s
  option httpchk GET /primary
  default-server check inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
`, stats, p.haproxy)
	for _, n := range p.nodes {
		fmt.Fprintf(&b, "  server %s %s port %s\n", n.name, n.sql, portOf(n.api))
	}
	return b.String()
}

// balanced is to how many nodes HAProxy sends people: to all, until it has looked.
func (p *Patroni) balanced(stats string) (n int) {
	response, err := http.Get("http://" + stats + "/;csv") //nolint:noctx // HAProxy has a timeout
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	table, err := io.ReadAll(response.Body)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(table)) {
		if strings.HasPrefix(line, "leader,node") && strings.Contains(line, ",UP") {
			n++
		}
	}
	return n
}

// prepare makes the database, and the service's login.
func (p *Patroni) prepare() {
	p.t.Helper()
	p.execute("postgres", "CREATE DATABASE "+database)
	require.NoError(p.t, pgdb.Migrate(p.t.Context(), p.superuserURL(database), io.Discard))
	p.execute(database, "CREATE ROLE "+runtimeRole+" LOGIN PASSWORD '"+password+"' IN ROLE authservice_runtime")
}

func (p *Patroni) execute(on, sql string) {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.superuserURL(on))
	require.NoError(p.t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(p.t.Context(), sql)
	require.NoError(p.t, err)
}

// superuserURL leads to whichever node is the leader.
func (p *Patroni) superuserURL(name string) string { return p.url("postgres", name, p.addresses()) }

func (p *Patroni) url(role, name, hosts string) string {
	query := "sslmode=disable"
	if strings.Contains(hosts, ",") {
		query += "&target_session_attrs=read-write"
	}
	return (&url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Host: hosts, Path: name, RawQuery: query}).String()
}

func (p *Patroni) addresses() string {
	var all []string
	for _, n := range p.nodes {
		all = append(all, n.sql)
	}
	return strings.Join(all, ",")
}

// BalancedURL is the service's by way of HAProxy.
func (p *Patroni) BalancedURL() string { return p.url(runtimeRole, database, p.haproxy) }

// HostsURL is the service's with all hosts, of which it looks for the leader itself.
func (p *Patroni) HostsURL() string { return p.url(runtimeRole, database, p.addresses()) }

// Superuser opens a connection to the leader.
func (p *Patroni) Superuser() *pgx.Conn {
	p.t.Helper()
	conn, err := pgx.Connect(context.Background(), p.superuserURL(database))
	require.NoError(p.t, err)
	p.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Replicas is how many nodes follow the leader.
func (p *Patroni) Replicas() (n int) {
	for _, node := range p.nodes {
		if status("http://"+node.api+"/replica") == http.StatusOK {
			n++
		}
	}
	return n
}

// isSynchronous reports whether a commit waits for another node.
func (p *Patroni) isSynchronous() bool {
	for _, n := range p.nodes {
		if status("http://"+n.api+"/sync") == http.StatusOK {
			return true
		}
	}
	return false
}

func (p *Patroni) leader() *node {
	for _, n := range p.nodes {
		if status("http://"+n.api+"/primary") == http.StatusOK {
			return n
		}
	}
	return nil
}

// KillLeader is kill -9 of the leader's server, and of the Patroni that would
// start it again. It returns the leader's name.
func (p *Patroni) KillLeader() string {
	p.t.Helper()
	n := p.leader()
	require.NotNil(p.t, n)
	pid, running := n.postmaster()
	require.True(p.t, running)
	n.kill()
	require.NoError(p.t, syscall.Kill(pid, syscall.SIGKILL))
	return n.name
}

// stop ends a node for good.
func (n *node) stop() {
	n.kill()
	// An immediate shutdown, which the server's own processes do not outlive.
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		pid, running := n.postmaster()
		if !running {
			return
		}
		_ = syscall.Kill(pid, syscall.SIGQUIT)
	}
	n.t.Errorf("the PostgreSQL of %s does not stop", n.name)
}

// postmaster finds the main process of the node's server, which Patroni gives a
// session of its own. One that ended, but that nobody has heard of, does not run.
func (n *node) postmaster() (pid int, running bool) {
	text, err := os.ReadFile(filepath.Join(n.data, "postmaster.pid"))
	if err != nil {
		return 0, false
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		return 0, false
	}
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return pid, err == nil && strings.Contains(string(command), n.data)
}

// status is that of a GET, 0 where no answer comes.
func status(url string) int {
	response, err := (&http.Client{Timeout: 2 * time.Second}).Get(url) //nolint:noctx // it has a timeout
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}
