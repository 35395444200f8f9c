//go:build faults

package ordeal

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/authservice/authservice/internal/faults"
)

const (
	hangUp = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'authservice'"
	// wholeWithin is when the service has to answer again after a fault of the
	// database. It takes less than ten seconds; this is for a machine that is busy.
	wholeWithin = time.Minute
)

// lane lets faults happen one after another, until enough ends; each is mended.
func (w *world) lane(enough context.Context, number int, s *schedule) {
	for enough.Err() == nil {
		f := s.next()
		w.under(number, f.kind)
		mend := begin[f.kind](w, f)
		time.Sleep(f.lasts) // is how long it lasts
		mend()
		mended := time.Now()
		w.under(number, "")
		if number == 0 {
			w.awaitAnswer(f, mended)
		}
		w.mu.Lock()
		w.counts[f.kind]++
		w.mu.Unlock()
		select {
		case <-enough.Done():
		case <-time.After(*between):
		}
	}
}

func (w *world) under(lane int, kind string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current[lane] = kind
}

// awaitAnswer waits until something that was asked after the fault is answered.
func (w *world) awaitAnswer(f fault, mended time.Time) {
	for w.score.newest.Load() < mended.UnixNano() {
		if time.Since(mended) > wholeWithin {
			w.score.violate("%s: %s after it was mended, nothing is answered", f.kind, wholeWithin)
			return
		}
		time.Sleep(5 * time.Millisecond) // to look again
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slowest = max(w.slowest, time.Since(mended))
}

// begin has, for each fault, how it begins; what it returns mends it.
var begin = map[string]func(*world, fault) (mend func()){
	"postgres-killed":    func(w *world, _ fault) func() { w.pg.Kill(); return w.pg.Start },
	"postgres-immediate": func(w *world, _ fault) func() { w.pg.StopAtOnce(); return w.pg.Start },
	"postgres-restarted": func(w *world, _ fault) func() { w.pg.Stop(); return w.pg.Start },
	"postgres-frozen":    func(w *world, _ fault) func() { w.pg.Freeze(); return w.pg.Thaw },
	"postgres-slow":      func(w *world, _ fault) func() { return w.pg.Stutter() },
	"backend-killed":     killBackend,
	"backends-terminated": func(w *world, f fault) func() {
		until := time.Now().Add(f.lasts)
		for w.sql(hangUp); time.Now().Before(until); w.sql(hangUp) {
			time.Sleep(100 * time.Millisecond)
		}
		return nothing
	},
	"disk-full": func(w *world, _ fault) func() { w.disk.fill(); return w.disk.free },
	"read-only": func(w *world, _ fault) func() {
		w.sql("ALTER DATABASE authservice SET default_transaction_read_only = on", hangUp)
		return func() {
			w.sql("SET transaction_read_only = off; ALTER DATABASE authservice RESET default_transaction_read_only", hangUp)
		}
	},
	"connections-exhausted": exhaustConnections,
	"accounts-locked": func(w *world, f fault) func() {
		users := []uuid.UUID{w.ground.shared[0], w.ground.perishable[0]}
		for _, a := range w.own[int(f.size*clients)] {
			users = append(users, a.id)
		}
		return w.squat(f, "SELECT FROM credit_accounts WHERE user_id = ANY($1) FOR UPDATE", users)
	},
	"table-locked": func(w *world, f fault) func() {
		return w.squat(f, "LOCK TABLE credit_accounts IN ACCESS EXCLUSIVE MODE")
	},

	"wire-latency":   wire(func(n *faults.Network, f fault) { n.Delay(20 + int(f.size*300)) }),
	"wire-blackhole": wire(func(n *faults.Network, _ fault) { n.Swallow() }),
	"wire-reset":     wire(func(n *faults.Network, _ fault) { n.Reset() }),
	"wire-refused": func(w *world, f fault) func() {
		w.wires(f, (*faults.Network).Down)
		return func() { w.wires(f, (*faults.Network).Up) }
	},
	"wire-slow":          wire(func(n *faults.Network, f fault) { n.Throttle(5 + int(f.size*40)) }),
	"wire-cut-in-commit": wire(func(n *faults.Network, f fault) { n.CutCommits(2 + int(f.size*6)) }),
	"wire-torn":          wire(func(n *faults.Network, f fault) { n.Tear(3 + int(f.size*10)) }),

	"replica-killed": func(w *world, f fault) func() {
		s := w.slots[f.replicas[0]]
		s.replica().kill()
		return func() { s.start() }
	},
	"replica-stopped": func(w *world, f fault) func() {
		send := func(sig syscall.Signal) {
			for _, i := range f.replicas {
				_ = w.slots[i].replica().cmd.Process.Signal(sig)
			}
		}
		send(syscall.SIGSTOP)
		return func() { send(syscall.SIGCONT) }
	},
	"replica-replaced": func(w *world, f fault) func() {
		s := w.slots[f.replicas[0]]
		old := s.replica()
		s.start()
		old.stop(w.ctx)
		return nothing
	},

	"clients-latency":   clientsWire(func(n *faults.Network, f fault) { n.Delay(20 + int(f.size*1500)) }),
	"clients-blackhole": clientsWire(func(n *faults.Network, _ fault) { n.Swallow() }),
	"clients-reset":     clientsWire(func(n *faults.Network, _ fault) { n.Reset() }),
	"clients-refused":   down(func(w *world) *faults.Network { return w.front }),
	"clients-slow":      clientsWire(func(n *faults.Network, f fault) { n.Throttle(5 + int(f.size*40)) }),

	"clock-ahead":  clock(1),
	"clock-behind": clock(-1),

	"smtp-dead":       down(func(w *world) *faults.Network { return w.mail }),
	"smtp-silent":     silent(func(w *world) *faults.Network { return w.mail }),
	"logstash-dead":   down(func(w *world) *faults.Network { return w.logs }),
	"logstash-silent": silent(func(w *world) *faults.Network { return w.logs }),
}

func nothing() {}

// wires does something to the wires between the fault's replicas and PostgreSQL.
func (w *world) wires(f fault, do func(*faults.Network)) {
	for _, i := range f.replicas {
		do(w.slots[i].network)
	}
}

func wire(do func(*faults.Network, fault)) func(*world, fault) func() {
	return func(w *world, f fault) func() {
		w.wires(f, func(n *faults.Network) { do(n, f) })
		return func() { w.wires(f, (*faults.Network).Heal) }
	}
}

func clientsWire(do func(*faults.Network, fault)) func(*world, fault) func() {
	return func(w *world, f fault) func() { do(w.front, f); return w.front.Heal }
}

func down(which func(*world) *faults.Network) func(*world, fault) func() {
	return func(w *world, _ fault) func() { which(w).Down(); return which(w).Up }
}

func silent(which func(*world) *faults.Network) func(*world, fault) func() {
	return func(w *world, _ fault) func() { which(w).Swallow(); return which(w).Heal }
}

// clock steps the clocks of the fault's replicas by up to half a minute, and back.
func clock(sign int64) func(*world, fault) func() {
	return func(w *world, f fault) func() {
		set := func(wrong int64) {
			for _, i := range f.replicas {
				w.slots[i].clock.Store(wrong)
			}
		}
		set(sign * int64(f.size*float64(30*time.Second)))
		return func() { set(0) }
	}
}

// killBackend is kill -9 of one session, for which PostgreSQL ends all others and
// recovers.
func killBackend(w *world, _ fault) func() {
	conn := w.superuser()
	defer conn.Close(w.ctx)
	var pid int
	if err := conn.QueryRow(w.ctx, "SELECT pid FROM pg_stat_activity WHERE usename = 'authservice' LIMIT 1").Scan(&pid); err == nil {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return nothing
}

// superuser connects, as soon as that is possible.
func (w *world) superuser() *pgx.Conn {
	for {
		conn, err := pgx.Connect(w.ctx, w.adminURL)
		if err == nil || w.ctx.Err() != nil {
			return conn
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// squat holds a lock that the service needs, for longer than it waits for one.
func (w *world) squat(f fault, sql string, arguments ...any) (leave func()) {
	conn := w.superuser()
	for _, s := range []string{"BEGIN", "SET lock_timeout = '10s'"} {
		_, _ = conn.Exec(w.ctx, s)
	}
	if _, err := conn.Exec(w.ctx, sql, arguments...); err != nil {
		w.score.violate("%s: %v", f.kind, err)
	}
	time.Sleep(1500 * time.Millisecond) // beside what it lasts anyway
	return func() { _ = conn.Close(w.ctx) }
}

// exhaustConnections takes all that PostgreSQL has.
func exhaustConnections(w *world, f fault) func() {
	config, err := pgx.ParseConfig(w.adminURL)
	if err != nil {
		panic(err)
	}
	config.User, config.Password = "squatter", "squatter"
	var taken []*pgx.Conn
	for until := time.Now().Add(f.lasts); time.Now().Before(until); {
		w.sql(hangUp)
		for {
			conn, err := pgx.ConnectConfig(w.ctx, config)
			if pg := new(pgconn.PgError); errors.As(err, &pg) && pg.Code == "53300" {
				break
			}
			if err != nil {
				w.score.violate("%s: %v", f.kind, err)
				break
			}
			taken = append(taken, conn)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return func() {
		var all sync.WaitGroup
		for _, conn := range taken {
			all.Go(func() { _ = conn.Close(w.ctx) })
		}
		all.Wait()
	}
}
