package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
)

// The bare server is the floor of reads over HTTP: handlers of net/http that
// make the query which answers, and nothing else. It is a process of its own, as
// the service is.

const (
	bareName        = "bare-server"
	bareDatabaseURL = "AUTHBENCH_DATABASE_URL"
	bareMaxConns    = "AUTHBENCH_MAX_CONNS"

	bareEmpty, bareUser, bareBalance = "/empty/", "/user/", "/balance/"
)

func bareCommand(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: bareName, Short: "The floor of reads over HTTP (run by authbench itself)", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serveBare(cmd.Context(), stdout) },
	}
}

func serveBare(ctx context.Context, stdout io.Writer) error {
	config, err := pgxpool.ParseConfig(os.Getenv(bareDatabaseURL))
	if err != nil {
		return fmt.Errorf("%s is no URL of a PostgreSQL database", bareDatabaseURL)
	}
	conns, err := strconv.ParseInt(os.Getenv(bareMaxConns), 10, 32)
	if err != nil || conns < 1 {
		return fmt.Errorf("%s is no number of connections", bareMaxConns)
	}
	config.MaxConns = int32(conns)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	handler, err := bareHandler(pool)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	fmt.Fprintf(stdout, "http://%s\n", l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func bareHandler(pool *pgxpool.Pool) (http.Handler, error) {
	userQuery, err := positional("UserGet", "id")
	if err != nil {
		return nil, err
	}
	balanceQuery, err := positional("CreditBalanceGet", "user_id", "now")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc(bareEmpty, func(w http.ResponseWriter, _ *http.Request) { bareAnswer(w, struct{}{}) })
	mux.HandleFunc(bareUser, func(w http.ResponseWriter, r *http.Request) {
		bareQuery[bareUserRow](w, r, pool, bareUser, func(id uuid.UUID) (string, []any) { return userQuery, []any{id} })
	})
	mux.HandleFunc(bareBalance, func(w http.ResponseWriter, r *http.Request) {
		bareQuery[bareBalanceRow](w, r, pool, bareBalance, func(id uuid.UUID) (string, []any) { return balanceQuery, []any{id, time.Now()} })
	})
	return mux, nil
}

func bareAnswer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// bareRow is what a query gives, of which the columns that are answered are
// named by targets.
type bareRow[T any] interface {
	*T
	targets() map[string]any
}

// bareQuery answers with the one row of a query.
func bareQuery[T any, P bareRow[T]](w http.ResponseWriter, r *http.Request, pool *pgxpool.Pool, prefix string, query func(uuid.UUID) (string, []any)) {
	id, err := uuid.Parse(strings.TrimPrefix(r.URL.Path, prefix))
	if err != nil {
		http.Error(w, "no id", http.StatusNotFound)
		return
	}
	sql, args := query(id)
	rows, err := pool.Query(r.Context(), sql, args...)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var row T
	found := rows.Next()
	if found {
		err = rows.Scan(scanTargets(rows, P(&row).targets())...)
	}
	rows.Close()
	switch {
	case errors.Join(err, rows.Err()) != nil:
		http.Error(w, errors.Join(err, rows.Err()).Error(), http.StatusInternalServerError)
	case !found:
		http.Error(w, "no row", http.StatusNotFound)
	default:
		bareAnswer(w, row)
	}
}

// scanTargets leaves out the columns that are not wanted.
func scanTargets(rows pgx.Rows, wanted map[string]any) []any {
	fields := rows.FieldDescriptions()
	targets := make([]any, len(fields))
	for i := range fields {
		targets[i] = wanted[fields[i].Name]
	}
	return targets
}

type bareUserRow struct {
	ID            uuid.UUID       `json:"id"`
	Email         *string         `json:"email"`
	EmailVerified bool            `json:"email_verified"`
	Name          string          `json:"name"`
	Role          string          `json:"role"`
	Status        string          `json:"status"`
	Metadata      json.RawMessage `json:"metadata"`
	CreatedAt     time.Time       `json:"created_at"`
	UpdatedAt     time.Time       `json:"updated_at"`
	LastLoginAt   *time.Time      `json:"last_login_at"`
}

func (u *bareUserRow) targets() map[string]any {
	return map[string]any{
		"id": &u.ID, "email": &u.Email, "email_verified": &u.EmailVerified, "name": &u.Name, "role": &u.Role, "status": &u.Status,
		"metadata": &u.Metadata, "created_at": &u.CreatedAt, "updated_at": &u.UpdatedAt, "last_login_at": &u.LastLoginAt,
	}
}

type bareBalanceRow struct {
	UserID       uuid.UUID  `json:"user_id"`
	Balance      int64      `json:"balance"`
	Held         int64      `json:"held"`
	Sequence     int64      `json:"sequence"`
	Due          int64      `json:"due"`
	Released     int64      `json:"released"`
	NextExpiry   *time.Time `json:"next_expires_at"`
	NextExpiring int64      `json:"next_expiry_amount"`
	UpdatedAt    time.Time  `json:"updated_at"`
}

func (b *bareBalanceRow) targets() map[string]any {
	return map[string]any{
		"user_id": &b.UserID, "balance": &b.Balance, "held": &b.Held, "sequence": &b.Sequence, "due": &b.Due, "released": &b.Released,
		"next_expires_at": &b.NextExpiry, "next_expiry_amount": &b.NextExpiring, "updated_at": &b.UpdatedAt,
	}
}

// bareServer is a running bare server.
type bareServer struct {
	endpoint endpoint
	pid      int
	stop     func()
}

func startBare(ctx context.Context, databaseURL string) (*bareServer, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, bareName) //nolint:gosec // this program
	cmd.Env = append(os.Environ(), bareDatabaseURL+"="+databaseURL, bareMaxConns+"="+serviceConns())
	cmd.Stderr, cmd.SysProcAttr = os.Stderr, dieWithUs()
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout = in
	exited, err := spawn(cmd)
	_ = in.Close()
	if err != nil {
		return nil, fmt.Errorf("starting the bare server: %w", err)
	}
	s := &bareServer{pid: cmd.Process.Pid, stop: func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		<-exited
	}}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		s.endpoint, err = parseEndpoint(strings.TrimSpace(line))
	}
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("starting the bare server: %w", err)
	}
	return s, nil
}

// serviceConns is how many connections the service has to its database, so that
// the floor has as many.
func serviceConns() string {
	if set := os.Getenv("AUTH_DATABASE_MAX_CONNS"); set != "" {
		return set
	}
	return "16"
}
