package check

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/localpg"
)

const (
	patience = time.Minute
	aMoment  = 50 * time.Millisecond
)

// stack is what compose.yaml starts, on this machine instead of in containers: the
// same files, with the names of other services replaced by their addresses.
type stack struct {
	url      string // of nginx
	plainURL string
	client   *http.Client
	replicas [2]*replica
}

type replica struct {
	address, ops string
	environ      []string
	process      *process
}

// process is a program that runs until the test ends, or is killed.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *process) said(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(p.log)
	require.NoError(t, err)
	return string(content)
}

// start runs a program as somebody, for those that refuse to be root.
func start(t *testing.T, dir string, as *syscall.Credential, environ []string, name string, args ...string) *process {
	t.Helper()
	log, err := os.CreateTemp(dir, filepath.Base(name)+"-*.log")
	require.NoError(t, err)
	t.Cleanup(func() { _ = log.Close() })
	p := &process{cmd: exec.Command(name, args...), log: log.Name(), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = environ, "/", log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	require.NoError(t, p.cmd.Start())
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said:\n%s", name, p.said(t))
		}
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(patience):
			p.kill()
		}
	})
	return p
}

// nobody is who servers run as that root starts; nil for whoever else it is.
func nobody(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.Atoi(account.Uid)
	require.NoError(t, err)
	gid, err := strconv.Atoi(account.Gid)
	require.NoError(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func run(t *testing.T, environ []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = environ
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %s\n%s", name, strings.Join(args, " "), output)
	return string(output)
}

// freeAddress is one of this machine where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// instead replaces what must be there.
func instead(t *testing.T, text string, oldNew ...string) string {
	t.Helper()
	for i := 0; i < len(oldNew); i += 2 {
		require.Contains(t, text, oldNew[i])
	}
	return strings.NewReplacer(oldNew...).Replace(text)
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

func startStack(t *testing.T) *stack {
	t.Helper()
	dir, err := os.MkdirTemp(builtIn, "stack")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o777))
	project, path := compose(t), "PATH="+os.Getenv("PATH")+":/usr/sbin"

	// PostgreSQL, its roles, and the migrations.
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	cluster, err := localpg.Start(ctx, localpg.Options{Dir: filepath.Join(dir, "pg")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop()) })
	postgres := regexp.MustCompile(`@([^/]+)/`).FindStringSubmatch(cluster.URL("postgres"))[1]
	_, postgresPort, err := net.SplitHostPort(postgres)
	require.NoError(t, err)
	initial := append(environment(composeEnvironment(project.Services["postgres"])), path)
	run(t, initial, "psql", "--no-psqlrc", "--quiet", "--file="+filepath.Join(deploy, "compose/roles.sql"), cluster.URL("postgres"))
	migrate := composeEnvironment(project.Services["migrate"])
	run(t, []string{"DATABASE_URL=" + instead(t, migrate["DATABASE_URL"], "postgres:5432", postgres)}, program(t), project.Services["migrate"].Command...)

	// PgBouncer. Its list of users is what the image writes.
	bouncer := freeAddress(t)
	_, bouncerPort, err := net.SplitHostPort(bouncer)
	require.NoError(t, err)
	login := composeEnvironment(project.Services["pgbouncer"])
	users := write(t, filepath.Join(dir, "userlist.txt"), strconv.Quote(login["DB_USER"])+" "+strconv.Quote(login["DB_PASSWORD"])+"\n")
	start(t, dir, nobody(t), []string{path}, "pgbouncer", write(t, filepath.Join(dir, "pgbouncer.ini"), instead(t, read(t, "compose/pgbouncer.ini"),
		"host=postgres port=5432", "host=127.0.0.1 port="+postgresPort, "0.0.0.0", "127.0.0.1", "6432", bouncerPort, login["AUTH_FILE"], users)))
	require.Eventually(t, func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", bouncer)
		return err == nil && conn.Close() == nil
	}, patience, aMoment)

	s := &stack{}
	for i, name := range []string{"authservice-1", "authservice-2"} {
		r := &replica{address: freeAddress(t), ops: freeAddress(t)}
		seen := composeEnvironment(project.Services[name])
		seen["DATABASE_URL"] = instead(t, seen["DATABASE_URL"], "pgbouncer:6432", bouncer)
		seen["AUTH_HTTP_ADDR"], seen["AUTH_OPS_ADDR"], seen["AUTH_TRUSTED_PROXIES"], seen["AUTH_LOGSTASH_ADDR"] = r.address, r.ops, "127.0.0.1", ""
		r.environ = environment(seen)
		r.process = start(t, dir, nobody(t), r.environ, program(t), "serve")
		s.replicas[i] = r
	}
	for _, r := range s.replicas { // as the image's health check does
		require.Eventually(t, func() bool {
			cmd := exec.Command(program(t), "health")
			cmd.Env = r.environ
			return cmd.Run() == nil
		}, patience, aMoment)
	}
	s.startNginx(t, dir, path)
	return s
}

func (s *stack) startNginx(t *testing.T, dir, path string) {
	t.Helper()
	https, plain := freeAddress(t), freeAddress(t)
	certificate, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	run(t, []string{path}, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
		"-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate)
	text := instead(t, read(t, "compose/nginx.conf"),
		"authservice-1:8080", s.replicas[0].address, "authservice-2:8080", s.replicas[1].address,
		"listen 8443", "listen "+https, "listen 8080", "listen "+plain, "/etc/nginx/tls", dir, " /tmp/", " "+dir+"/")
	if version := run(t, []string{path}, "nginx", "-v"); regexp.MustCompile(`nginx/1\.(1\d|2[0-4])\.`).MatchString(version) {
		text = instead(t, text, "http2 on;", "") // Debian 12's does not know the word
	}
	file := write(t, filepath.Join(dir, "nginx.conf"), text)
	require.NotContains(t, run(t, []string{path}, "nginx", "-t", "-c", file), "[warn]")
	start(t, dir, nil, []string{path}, "nginx", "-c", file, "-g", "daemon off;")

	s.url, s.plainURL = "https://"+https, "http://"+plain
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(certificate)
	require.NoError(t, err)
	require.True(t, roots.AppendCertsFromPEM(pem))
	s.client = &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	require.Eventually(t, func() bool {
		response, err := s.client.Get(s.plainURL + "/nginx-health") // as compose.yaml asks
		return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}, patience, aMoment)
}

// send makes a request, and returns the answer with its body.
func (s *stack) send(t *testing.T, method, url string, body []byte, header ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := s.client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(content)
}

func (s *stack) logs(t *testing.T) string {
	t.Helper()
	return s.replicas[0].process.said(t) + s.replicas[1].process.said(t)
}

// The files of compose.yaml work together, and nginx does what its comments say. One
// test, because what it kills stays dead.
func TestStack(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	const problem = "application/problem+json"

	// What is probed is there.
	for port, paths := range probed(t) {
		for _, r := range s.replicas {
			for _, path := range paths {
				address := map[string]string{"http": r.address, "ops": r.ops}[port]
				response, _ := s.send(t, "GET", "http://"+address+path, nil)
				require.Equal(t, 200, response.StatusCode, path)
			}
		}
	}
	redirect, _ := s.send(t, "GET", s.plainURL+"/docs?x=1", nil)
	require.Equal(t, 308, redirect.StatusCode)
	require.Equal(t, "https://127.0.0.1/docs?x=1", redirect.Header.Get("Location"))

	// A client cannot say who it is; the proxy does.
	response, body := s.send(t, "POST", s.url+"/v1/auth/register", []byte(`{"email":"ada@example.com","password":"correct horse battery staple"}`),
		"X-Forwarded-For", "203.0.113.9", "X-Request-ID", "the-one")
	require.Equal(t, 201, response.StatusCode, body)
	require.Equal(t, "the-one", response.Header.Get("X-Request-ID"))
	require.Contains(t, s.logs(t), `"client.ip":"127.0.0.1"`)
	require.NotContains(t, s.logs(t), "203.0.113.9")

	// The service's own limits are met first.
	for size, code := range map[int]int{64<<10 + 1: 413, 1<<20 + 1: 413} {
		response, body := s.send(t, "POST", s.url+"/v1/auth/login", bytes.Repeat([]byte(" "), size))
		require.Equal(t, code, response.StatusCode)
		require.Equal(t, problem, response.Header.Get("Content-Type"))
		require.Contains(t, body, "request_too_large")
	}
	response, _ = s.send(t, "POST", s.url+"/v1/auth/login", bytes.Repeat([]byte(" "), 2<<20))
	require.Equal(t, 413, response.StatusCode)
	require.NotEqual(t, problem, response.Header.Get("Content-Type"), "nginx's own")
	response, _ = s.send(t, "GET", s.url+"/v1/me", nil, "Authorization", "Bearer "+strings.Repeat("x", 12<<10))
	require.Equal(t, 401, response.StatusCode, "headers up to 16 KiB reach the service")

	// One replica dies, and nobody notices, whatever they send.
	s.replicas[0].process.kill()
	for range 20 {
		response, body := s.send(t, "GET", s.url+"/health/ready", nil)
		require.Equal(t, 200, response.StatusCode, body)
		response, body = s.send(t, "POST", s.url+"/v1/auth/refresh", []byte(`{"refresh_token":"nobody's"}`))
		require.Equal(t, 401, response.StatusCode, body)
	}

	// Both die, and the answer is one that clients understand.
	s.replicas[1].process.kill()
	response, body = s.send(t, "POST", s.url+"/v1/auth/refresh", []byte(`{"refresh_token":"nobody's"}`))
	require.Equal(t, 503, response.StatusCode)
	require.Equal(t, problem, response.Header.Get("Content-Type"))
	require.Equal(t, "1", response.Header.Get("Retry-After"))
	require.JSONEq(t, `{"type":"urn:authservice:problem:unavailable","title":"Service Unavailable","status":503,"detail":"The service cannot answer right now. Try again shortly.",
		"instance":"urn:authservice:request:`+response.Header.Get("X-Request-ID")+`","code":"unavailable","request_id":"`+response.Header.Get("X-Request-ID")+`"}`, body)
}
