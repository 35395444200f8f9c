//go:build faults

package ordeal

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
	"github.com/authservice/authservice/internal/devmail"
	"github.com/authservice/authservice/internal/faults"
)

const (
	clients = 32
	// ownAccounts is how many accounts a client has for itself, and as many are
	// shared by all, and as many perishable.
	ownAccounts = 4
	// maxConnections is PostgreSQL's: two replicas of 18 and some others.
	maxConnections = 60
)

// world is the service and all that it stands on.
type world struct {
	t       *testing.T
	ctx     context.Context //nolint:containedctx // of the whole ordeal
	dir     string
	program string
	environ []string
	score   score

	pg          *faults.Postgres
	disk        *disk
	slots       [replicas]*slot
	processes   processes
	balancer    *faults.Balancer
	front       *faults.Network // before the service
	mail, logs  *faults.Network
	box         *devmail.Mailbox
	lines       *receiver
	checkpoints *os.File
	adminURL    string // the address of the database for programs of the operator

	apiKey string
	ground ground
	own    [clients][]*account

	mu      sync.Mutex
	counts  map[string]int // faults that are over
	current map[int]string // that is under way in a lane
	slowest time.Duration  // from the end of a fault of the database to the next answer
	told    time.Duration  // when progress is told again
	invited []string
}

// newWorld brings everything up, as it is when nothing is wrong.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, ctx: t.Context(), dir: t.TempDir(), counts: map[string]int{}, current: map[int]string{}}
	t.Cleanup(func() { w.score.report(t) })
	w.program = *program
	if w.program == "" {
		w.program = filepath.Join(w.dir, "authservice")
		build := exec.Command("go", "build", "-tags", "faults", "-o", w.program, "github.com/authservice/authservice/cmd/authservice")
		out, err := build.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	var err error
	w.checkpoints, err = os.Create(filepath.Join(w.dir, "checkpoints.jsonl"))
	require.NoError(t, err)

	small := mountSmallDisk(t, filepath.Join(w.dir, "disk"))
	w.pg = faults.StartPostgres(t, fmt.Sprintf("max_connections=%d", maxConnections))
	w.adminURL = w.pg.AdminURL()
	w.disk = newDisk(w, small)
	w.sql("CREATE ROLE squatter LOGIN PASSWORD 'squatter'")

	w.box, err = devmail.Start("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.box.Close() })
	w.mail = faults.NewNetwork(t, w.box.Addr())
	w.lines = newReceiver(t)
	w.logs = faults.NewNetwork(t, w.lines.addr)
	w.balancer = faults.NewBalancer(t)
	w.front = faults.NewNetwork(t, w.balancer.Connections(t))

	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	_, port, err := net.SplitHostPort(w.mail.Addr())
	require.NoError(t, err)
	w.environ = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir,
		"AUTH_ENV=staging", "AUTH_HTTP_ADDR=127.0.0.1:0", "AUTH_OPS_ADDR=127.0.0.1:0", "AUTH_PUBLIC_URL=https://auth.example.com",
		"AUTH_ENCRYPTION_KEY=" + base64.StdEncoding.EncodeToString(secret), "AUTH_BCRYPT_COST=4", "AUTH_RATE_LIMIT_ENABLED=false",
		"AUTH_SMTP_HOST=127.0.0.1", "AUTH_SMTP_PORT=" + port, "AUTH_SMTP_TLS=none", "AUTH_SMTP_FROM=Test <no-reply@example.com>",
		"AUTH_MAIL_DISABLED=credits_granted", "AUTH_LOGSTASH_ADDR=" + w.logs.Addr(),
		"AUTH_LEDGER_CHECKPOINT_INTERVAL=1m",
		// Shorter than by default, so that more happens in the same time.
		"AUTH_HTTP_DRAIN_DELAY=500ms", "AUTH_DATABASE_SILENCE_TIMEOUT=2s", "AUTH_DATABASE_LOCK_TIMEOUT=2s",
	}
	t.Cleanup(w.processes.end)
	for i := range w.slots {
		w.slots[i] = w.newSlot(i)
	}
	for _, s := range w.slots {
		s.start()
	}
	w.people()
	return w
}

// sql runs statements as the superuser, on a connection of its own, and tries
// again while PostgreSQL is coming up.
func (w *world) sql(statements ...string) {
	w.t.Helper()
	var err error
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if err = w.trySQL(statements); err == nil {
			return
		}
	}
	require.NoError(w.t, err)
}

func (w *world) trySQL(statements []string) error {
	ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, w.adminURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// operator runs a command of the program, as whoever runs the service does.
func (w *world) operator(stdin string, arguments ...string) (stdout string, err error) {
	cmd := exec.CommandContext(w.ctx, w.program, arguments...)
	cmd.Dir, cmd.Stdin = w.dir, strings.NewReader(stdin)
	cmd.Env = append(slices.Clone(w.environ), "DATABASE_URL="+w.pg.URL(w.pg.Addr()))
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err = cmd.Run(); err != nil {
		err = fmt.Errorf("%w: %s", err, problems.String())
	}
	return out.String(), err
}

// ask makes a request that does not move credits.
func (w *world) ask(method, path, header, value string, body, into any) (status int, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(w.ctx, method, "http://"+w.front.Addr()+path, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(header, value)
	response, err := (&http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && into != nil {
		err = json.Unmarshal(answer, into)
	}
	return response.StatusCode, err
}

// people makes an API key, and the users whose credits are moved.
func (w *world) people() {
	w.t.Helper()
	const email, password = "operator@example.com", "correct horse battery staple"
	_, err := w.operator(password+"\n", "users", "create", "--email", email, "--admin")
	require.NoError(w.t, err)
	var session authclient.Session
	status, err := w.ask(http.MethodPost, "/v1/auth/login", "Accept", "*/*", authclient.LoginRequest{Email: email, Password: password}, &session)
	require.NoError(w.t, err)
	require.Equal(w.t, 200, status)
	var key authclient.CreatedAPIKey
	status, err = w.ask(http.MethodPost, "/v1/api-keys", "Authorization", "Bearer "+session.AccessToken, authclient.CreateAPIKeyRequest{
		Name: "ordeal", Scopes: []authclient.Scope{
			authclient.ScopeCreditsRead, authclient.ScopeCreditsGrant, authclient.ScopeCreditsDebit, authclient.ScopeCreditsTransfer, authclient.ScopeUsersWrite,
		},
	}, &key)
	require.NoError(w.t, err)
	require.Equal(w.t, 201, status)
	w.apiKey = key.Key

	for range ownAccounts {
		w.ground.shared = append(w.ground.shared, w.user())
		w.ground.perishable = append(w.ground.perishable, w.user())
	}
	for i := range w.own {
		for range ownAccounts {
			w.own[i] = append(w.own[i], &account{id: w.user()})
		}
	}
}

// user invites somebody while nothing is wrong.
func (w *world) user() uuid.UUID {
	w.t.Helper()
	var u authclient.User
	email := uuid.NewString() + "@example.com"
	status, err := w.ask(http.MethodPost, "/v1/users", "X-API-Key", w.apiKey, authclient.CreateUserRequest{Email: email}, &u)
	require.NoError(w.t, err)
	require.Equal(w.t, 201, status)
	w.invited = append(w.invited, email)
	return u.ID
}

// invite does the same again and again while everything is, so that there are mails.
func (w *world) invite(ctx context.Context) {
	for ctx.Err() == nil {
		email := uuid.NewString() + "@example.com"
		for ctx.Err() == nil {
			status, err := w.ask(http.MethodPost, "/v1/users", "X-API-Key", w.apiKey, authclient.CreateUserRequest{Email: email}, nil)
			if err == nil && (status == http.StatusCreated || status == http.StatusConflict) {
				w.invited = append(w.invited, email)
				break
			}
			if err == nil && status != http.StatusServiceUnavailable {
				w.score.violate("an invitation was answered with %d", status)
			}
			time.Sleep(200 * time.Millisecond) // before the next try
		}
		select {
		case <-ctx.Done():
		case <-time.After(6 * time.Second): // the mailbox keeps 500
		}
	}
}

// receiver is a Logstash: it takes lines, and closes what was closed.
type receiver struct {
	addr  string
	lines atomic.Int64
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	r := &receiver{addr: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				lines := bufio.NewReaderSize(conn, 64<<10)
				for {
					if _, err := lines.ReadSlice('\n'); err != nil && err != bufio.ErrBufferFull { //nolint:errorlint // as it is
						return
					}
					r.lines.Add(1)
				}
			}()
		}
	}()
	return r
}
