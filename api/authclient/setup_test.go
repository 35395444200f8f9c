package authclient_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

const password = "correct horse battery staple"

// dev is a running `authservice dev --json`, a process of its own.
type dev struct {
	process *exec.Cmd
	BaseURL string `json:"base_url"`
	APIKey  string `json:"api_key"`
}

var (
	program string // the built authservice
	shared  *dev   // for all tests and examples
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "authclient-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		// PostgreSQL, which may run as another user, has to pass.
		if err := os.Chmod(dir, 0o711); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		program = filepath.Join(dir, "authservice")
		if out, err := exec.Command("go", "build", "-o", program, "github.com/authservice/authservice/cmd/authservice").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building authservice: %s\n%s", err, out)
			return 1
		}
		if shared, err = startDev(filepath.Join(dir, "dev"), "AUTH_RATE_LIMIT_ENABLED=false"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer shared.stop()
		return m.Run()
	}())
}

// startDev runs the service on a private PostgreSQL in a directory.
func startDev(dir string, settings ...string) (*dev, error) {
	d := &dev{process: exec.Command(program, "dev", "--json")}
	for _, entry := range os.Environ() { // Those of the person who runs the tests are no settings of ours.
		if !strings.HasPrefix(entry, "DATABASE_URL=") && !strings.HasPrefix(entry, "AUTH_") {
			d.process.Env = append(d.process.Env, entry)
		}
	}
	d.process.Env = append(d.process.Env, "AUTH_DEV_DIR="+dir, "AUTH_HTTP_ADDR=127.0.0.1:0", "AUTH_OPS_ADDR=127.0.0.1:0", "AUTH_BCRYPT_COST=4")
	d.process.Env = append(d.process.Env, settings...)
	stdout, err := d.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var stderr bytes.Buffer
	d.process.Stderr = &stderr
	if err := d.process.Start(); err != nil {
		return nil, err
	}
	if err := json.NewDecoder(stdout).Decode(d); err != nil {
		d.kill()
		return nil, fmt.Errorf("authservice dev: %w\n%s", err, &stderr)
	}
	return d, nil
}

// stop is Ctrl-C.
func (d *dev) stop() { d.end(os.Interrupt) }

// kill gives it no time for anything.
func (d *dev) kill() { d.end(os.Kill) }

func (d *dev) end(signal os.Signal) {
	_ = d.process.Process.Signal(signal)
	_ = d.process.Wait()
}

// network stands between the clients of a test and the service, and loses
// or refuses what the test wants.
type network struct {
	*httptest.Server

	mu      sync.Mutex
	service *url.URL
	seen    []*http.Request
	// meddle is asked before each request; nil passes it on.
	meddle func(r *http.Request, n int) fault
}

// fault is what happens to a request, the n-th to its path.
type fault int

const (
	none       fault = iota
	lost             // it never arrives
	unanswered       // it is carried out, but the answer never arrives
	cut              // the answer ends in its middle
	busy             // a 503 of somebody in between
	gateway          // a 502, although it was carried out
)

// newNetwork is in front of the shared service, until it is led to another.
func newNetwork(t *testing.T, meddle func(r *http.Request, n int) fault) *network {
	t.Helper()
	n := &network{meddle: meddle}
	n.lead(t, shared)
	n.Server = httptest.NewServer(n)
	n.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(n.Close)
	return n
}

// lead makes requests go to a service.
func (n *network) lead(t *testing.T, d *dev) {
	t.Helper()
	service, err := url.Parse(d.BaseURL)
	require.NoError(t, err)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.service = service
}

func (n *network) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	n.seen = append(n.seen, r.Clone(context.WithoutCancel(r.Context())))
	count := 0
	for _, other := range n.seen {
		if other.Method == r.Method && other.URL.Path == r.URL.Path {
			count++
		}
	}
	meddle, service := n.meddle, n.service
	n.mu.Unlock()
	kind := none
	if meddle != nil {
		kind = meddle(r, count)
	}
	proxy := httputil.NewSingleHostReverseProxy(service)
	// A service that dies takes its connections along.
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	answer := httptest.NewRecorder()
	switch kind {
	case none:
		proxy.ServeHTTP(w, r)
	case lost:
		panic(http.ErrAbortHandler)
	case unanswered:
		proxy.ServeHTTP(answer, r)
		panic(http.ErrAbortHandler)
	case cut:
		proxy.ServeHTTP(answer, r)
		w.Header().Set("Content-Length", fmt.Sprint(answer.Body.Len()))
		_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
		panic(http.ErrAbortHandler)
	case busy:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	case gateway:
		proxy.ServeHTTP(answer, r)
		w.WriteHeader(http.StatusBadGateway)
	}
}

// requests are those to a path so far.
func (n *network) requests(path string) []*http.Request {
	n.mu.Lock()
	defer n.mu.Unlock()
	var found []*http.Request
	for _, r := range n.seen {
		if r.URL.Path == path {
			found = append(found, r)
		}
	}
	return found
}

// quick are retries that make no test wait.
var quick = authclient.WithRetries(authclient.Retries{MinWait: time.Millisecond})

func newClient(t *testing.T, server string, opts ...authclient.Option) *authclient.Client {
	t.Helper()
	c, err := authclient.New(server, append([]authclient.Option{quick}, opts...)...)
	require.NoError(t, err)
	return c
}

// register makes somebody new, with credits, and returns their session.
func register(t *testing.T, credits int64) *authclient.Session {
	t.Helper()
	session, err := newClient(t, shared.BaseURL).RegisterUser(t.Context(), authclient.RegisterRequest{
		Email: uuid.NewString() + "@example.com", Password: password,
	})
	require.NoError(t, err)
	if credits > 0 {
		_, err := newClient(t, shared.BaseURL, authclient.WithAPIKey(shared.APIKey)).
			GrantUserCredits(t.Context(), session.User.ID, authclient.GrantRequest{Amount: credits})
		require.NoError(t, err)
	}
	return session
}

// nobody is an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return "http://" + l.Addr().String()
}
