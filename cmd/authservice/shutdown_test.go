package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/faults"
	"github.com/authservice/authservice/internal/pgtest"
)

// go test ./cmd/authservice -run Rolling -restarts 20
var restarts = flag.Int("restarts", 4, "how many replicas TestShutdown_RollingRestart replaces")

// Replacing the replicas one by one, under load, loses no request.
func TestShutdown_RollingRestart(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	balancer := faults.NewBalancer(t)
	start := func() *process {
		p := startProcess(t, db, "AUTH_HTTP_DRAIN_DELAY=1s")
		balancer.Add(p.url)
		return p
	}
	replicas := []*process{start(), start()}
	require.Eventually(t, func() bool { return balancer.Ready() == 2 }, eventually, aMoment)
	user := replicas[0].user(t)
	admin := replicas[0].admin(t)
	before := user.balance(t).Balance

	var done, granted atomic.Int64
	var mu sync.Mutex
	var failures []string
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for ctx.Err() == nil {
				status, body := send(balancer.URL, "POST", "/v1/users/"+user.id().String()+"/credits/grants", `{"amount":1}`, admin.session.AccessToken)
				if status == 201 {
					granted.Add(1)
				} else {
					mu.Lock()
					failures = append(failures, fmt.Sprint(status, " ", body))
					mu.Unlock()
				}
				if status, body := send(balancer.URL, "GET", "/v1/me/credits", "", user.session.AccessToken); status != 200 {
					mu.Lock()
					failures = append(failures, fmt.Sprint(status, " ", body))
					mu.Unlock()
				}
				done.Add(2)
			}
		})
	}
	for i := range *restarts {
		enough := done.Load() + 50
		require.Eventually(t, func() bool { return done.Load() > enough }, eventually, aMoment)
		old := replicas[i%2]
		replicas[i%2] = start()
		require.Eventually(t, func() bool { return balancer.Ready() == 3 }, eventually, aMoment)
		old.signal(t, syscall.SIGTERM)
		require.Zero(t, old.wait(t).ExitCode(), old.logs)
	}
	cancel()
	clients.Wait()
	require.Empty(t, failures)
	t.Log(done.Load(), "requests,", *restarts, "restarts, 0 failures")
	user.service = replicas[0].service
	require.Equal(t, before+granted.Load(), replicas[0].withSession(t, user.session).balance(t).Balance, "every grant once")
}

// send makes a request with a token, for callers that must not end a test. The
// status is 0 where no answer came.
func send(base, method, path, body, token string) (status int, answer string) {
	r, err := http.NewRequestWithContext(context.Background(), method, base+path, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	r.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}, "Idempotency-Key": {uuid.NewString()}}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(all)
}

// Asked to stop, the service says so, and serves for as long as it takes load
// balancers to hear it; clients that keep their connections are told to close them.
func TestShutdown_Drains(t *testing.T) {
	t.Parallel()
	p := startProcess(t, pgtest.New(t), "AUTH_HTTP_DRAIN_DELAY=3s")
	client := &http.Client{Transport: &http.Transport{}, Timeout: eventually}
	ask := func(path string) (status int, last bool) {
		response, err := client.Get(p.url + path)
		require.NoError(t, err)
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		return response.StatusCode, response.Close
	}
	status, last := ask("/health/ready")
	require.Equal(t, 200, status)
	require.False(t, last)

	p.signal(t, syscall.SIGTERM)
	require.Eventually(t, func() bool { status, last := ask("/health/ready"); return status == 503 && last }, eventually, time.Millisecond)
	for path, want := range map[string]int{"/v1/me": 401, "/health/live": 200} {
		status, last := ask(path)
		require.Equal(t, want, status)
		require.True(t, last)
	}
	require.Zero(t, p.wait(t).ExitCode(), p.logs)
}

// A second signal does not wait for anything.
func TestShutdown_SecondSignal(t *testing.T) {
	t.Parallel()
	p := startProcess(t, pgtest.New(t), "AUTH_HTTP_DRAIN_DELAY=5m")
	p.signal(t, syscall.SIGTERM)
	require.Eventually(t, func() bool { status, _ := send(p.url, "GET", "/health/ready", "", ""); return status == 503 }, eventually, aMoment)
	p.signal(t, syscall.SIGTERM)
	state, ok := p.wait(t).Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGTERM, state.Signal())
}

// A client that does not come to an end cannot keep the service from its own.
func TestShutdown_StuckClient(t *testing.T) {
	t.Parallel()
	p := startProcess(t, pgtest.New(t), "AUTH_HTTP_SHUTDOWN_TIMEOUT=1s", "AUTH_HTTP_READ_TIMEOUT=5m", "AUTH_HTTP_WRITE_TIMEOUT=5m")
	conn := p.dial(t)
	_, err := io.WriteString(conn, "POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return p.connections(t) == 2 }, eventually, aMoment)
	p.signal(t, syscall.SIGTERM)
	require.Zero(t, p.wait(t).ExitCode(), p.logs)
	require.Contains(t, p.logs.String(), "were cut off")
}

// A job that has begun is finished: here a mail, to a server that is slow.
func TestShutdown_FinishesJobs(t *testing.T) {
	t.Parallel()
	box, mail := startMailbox(t)
	network := faults.NewNetwork(t, box.Addr())
	network.Delay(300)
	db := pgtest.New(t)
	p := startProcess(t, db, append(mail, "AUTH_SMTP_PORT="+network.Addr()[strings.LastIndex(network.Addr(), ":")+1:])...)
	email := p.user(t).session.User.Email
	require.Eventually(t, func() bool {
		var running int
		err := db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM river_job WHERE kind = 'mail' AND state = 'running'").Scan(&running)
		return err == nil && running > 0
	}, eventually, aMoment)
	p.signal(t, syscall.SIGTERM)
	require.Zero(t, p.wait(t).ExitCode(), p.logs)
	require.NotEmpty(t, box.Messages(email))
	var unfinished int
	require.NoError(t, db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM river_job WHERE state = 'running'").Scan(&unfinished))
	require.Zero(t, unfinished)
}
