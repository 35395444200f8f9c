package main

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Goals of identity, as ratios in one run.
const (
	loginOfFloor   = 0.95
	readOfFloor    = 0.6
	refreshOfFloor = 0.5
)

// loginConnections keep every slot for passwords busy; more would only wait.
const loginConnections = 8

// bcryptFloor is a contender: comparing passwords and nothing else, in one
// process, as many at a time as the service does.
type bcryptFloor struct {
	cost, slots int
	compares    int64
	took        time.Duration
	usage       usage
}

// newBcryptFloor takes the cost from a hash of the service.
func (b *bench) newBcryptFloor(ctx context.Context) (*bcryptFloor, error) {
	f := &bcryptFloor{cost: 12, slots: runtime.NumCPU()}
	if b.o.bcryptSlots > 0 {
		f.slots = b.o.bcryptSlots
	} else if set, err := strconv.Atoi(os.Getenv("AUTH_BCRYPT_CONCURRENCY")); err == nil && set > 0 && b.o.url == "" {
		f.slots = set
	}
	if b.database == nil {
		return f, nil
	}
	hash, err := b.passwordHash(ctx)
	if err != nil {
		return nil, err
	}
	at := strings.LastIndex(hash, "$2")
	if at < 0 {
		return nil, fmt.Errorf("what is stored of a password is no bcrypt hash: %.20s…", hash)
	}
	f.cost, err = bcrypt.Cost([]byte(hash[at:]))
	return f, err
}

func (f *bcryptFloor) turn(ctx context.Context, b *bench, round string) error {
	b.progress.say(fmt.Sprintf("bcrypt compares at cost %d, %d at a time, %s", f.cost, f.slots, round))
	defer b.progress.done()
	hash, err := bcrypt.GenerateFromPassword([]byte("authbench"), f.cost)
	if err != nil {
		return err
	}
	var done atomic.Int64
	var group sync.WaitGroup
	begin, before := time.Now(), meter{}.read()
	for range f.slots {
		group.Go(func() {
			for time.Since(begin) < b.o.duration && ctx.Err() == nil {
				_ = bcrypt.CompareHashAndPassword(hash, []byte("authbench"))
				done.Add(1)
				b.progress.update(fmt.Sprintf("%.2f/s", float64(done.Load())/time.Since(begin).Seconds()))
			}
		})
	}
	group.Wait()
	f.compares += done.Load()
	f.took += time.Since(begin)
	f.usage = f.usage.plus(meter{}.read().since(before))
	return ctx.Err()
}

func (f *bcryptFloor) floor() *floor {
	return &floor{
		What: fmt.Sprintf("bcrypt compares at cost %d, %d at a time", f.cost, f.slots),
		Rate: float64(f.compares) / f.took.Seconds(), CPU: f.usage.per(f.compares),
	}
}

func (b *bench) login(ctx context.Context) error {
	script, err := b.loginScript(ctx)
	if err != nil {
		return err
	}
	return b.besideBcrypt(ctx, "login", script, loginOfFloor)
}

// loginScript logs in users whose password is known.
func (b *bench) loginScript(ctx context.Context) (func(int) script, error) {
	if b.database != nil {
		accounts, err := b.accounts(ctx)
		return b.passwordLogins(accounts), err
	}
	logins, err := b.sessions(ctx, loginConnections)
	if err != nil {
		return nil, err
	}
	return func(i int) script {
		body := fmt.Sprintf(`{"email":%q,"password":%q}`, logins[i%len(logins)].email, b.password)
		return &spread{request: newRequest(b.endpoint, "POST", "/v1/auth/login", body)}
	}, nil
}

func (b *bench) register(ctx context.Context) error {
	if _, err := b.sessions(ctx, 1); err != nil { // makes the password
		return err
	}
	return b.besideBcrypt(ctx, "register", b.registrations(), 0)
}

func (b *bench) besideBcrypt(ctx context.Context, scenario string, script func(int) script, limit float64) error {
	f, err := b.newBcryptFloor(ctx)
	if err != nil {
		return err
	}
	s := b.side(scenario, script)
	s.connections = min(s.connections, loginConnections*f.slots)
	if err := b.turns(ctx, s, f); err != nil {
		return err
	}
	r := s.result(scenario)
	r.Floor = f.floor()
	if limit > 0 {
		r.Goals = []goal{ofFloor(r, limit)}
	}
	b.add(r)
	return nil
}

// me reads who one is, with an access token.
func (b *bench) me(ctx context.Context) error {
	logins, err := b.sessions(ctx, b.o.connections)
	if err != nil {
		return err
	}
	floor := func(e endpoint) func(int) script {
		return func(i int) script {
			return &spread{request: newRequest(e, "GET", bareUser+logins[i].userID.String(), "")}
		}
	}
	return b.besideBare(ctx, "me", b.side("GET /v1/me", b.own("GET", "/v1/me", logins)), "a bare handler with the same query", floor, readOfFloor)
}

//go:embed floor_refresh.sql
var refreshFloorSchema string

// rawRefresh is a contender: the statements of an exchange of a refresh token.
type rawRefresh struct {
	pgbench *pgbench
	total   floorResult
}

func (r *rawRefresh) turn(ctx context.Context, b *bench, round string) error {
	b.progress.say("raw SQL: refresh, " + round)
	defer b.progress.done()
	script, err := refreshScript()
	if err != nil {
		return err
	}
	// The tokens begin anew in each round.
	if _, err := b.database.Exec(ctx, refreshFloorSchema); err != nil {
		return fmt.Errorf("making the tables of the floor: %w", err)
	}
	defer b.dropFloor()
	f, err := r.pgbench.run(ctx, script, map[string]int64{"generation": 0}, b.o.duration, b.meter.postmaster, b.progress.update)
	r.total.add(f)
	return err
}

// refreshScript is the transaction in which the service exchanges a refresh
// token. Each client of pgbench has a session, of which it counts the tokens.
func refreshScript() (string, error) {
	const (
		hash    = `sha256(convert_to(:client_id || '-' || :generation, 'UTF8'))`
		next    = `sha256(convert_to(:client_id || '-' || :generation + 1, 'UTF8'))`
		session = `md5('session-' || :client_id)::uuid`
		user    = `md5('user-' || :client_id)::uuid`
		// Ascends with the time, as the service's do.
		event = `(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000000)::bigint), 16, '0') || substr(md5(random()::text), 1, 16))::uuid`
	)
	common := map[string]string{"now": "now()", "token_hash": hash}
	steps := []struct {
		query  string
		values map[string]string
	}{
		{"RefreshTokenLock", nil},
		{"RefreshTokenGet", nil},
		{"RefreshTokenRotated", nil},
		{"SessionUsed", map[string]string{"id": session}},
		{"AuditEventInsert", map[string]string{
			"id": event, "type": "'session_renewed'", "actor_type": "'user'", "actor_id": user, "target_type": "'user'", "target_id": user,
			"request_id": "md5(random()::text)", "details": `'{"session_id":"00000000-0000-7000-8000-000000000000"}'`,
			"ip": "'127.0.0.1'", "user_agent": "'authbench'",
		}},
		{"RefreshTokenInsert", map[string]string{"token_hash": next, "session_id": session, "expires_at": "now() + interval '1 hour'"}},
	}
	var script strings.Builder
	script.WriteString("BEGIN;\n")
	for _, step := range steps {
		values := maps.Clone(common)
		maps.Copy(values, step.values)
		query, err := serviceQuery(step.query, values)
		if err != nil {
			return "", err
		}
		script.WriteString(query + ";\n")
	}
	script.WriteString("COMMIT;\n\\set generation :generation + 1\n")
	return script.String(), nil
}

// refresh exchanges refresh tokens, of one session on each connection.
func (b *bench) refresh(ctx context.Context) error {
	logins, err := b.sessions(ctx, b.o.connections)
	if err != nil {
		return err
	}
	s := b.side("refresh", b.refreshes(logins))
	if b.database == nil {
		return b.alone(ctx, "refresh", s)
	}
	pgbench, err := findPgbench(b.target, b.o.pgbench)
	if err != nil {
		return err
	}
	raw := &rawRefresh{pgbench: pgbench}
	if err := b.turns(ctx, s, raw); err != nil {
		return err
	}
	r := s.result("refresh")
	r.Floor = raw.total.floor("the statements of its transaction")
	r.Goals = []goal{ofFloor(r, refreshOfFloor)}
	b.add(r)
	return nil
}
