//go:build faults

package ordeal

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// task test:faults -- -seed 7 -duration 10m
var (
	seed       = flag.Uint64("seed", 1, "of the operations and of the schedule of faults")
	duration   = flag.Duration("duration", 2*time.Minute, "how long it lasts at least")
	operations = flag.Int64("operations", 0, "how many operations are acknowledged at least")
	mishaps    = flag.Int("faults", 0, "how many faults happen at least")
	between    = flag.Duration("between", 300*time.Millisecond, "from the end of a fault to the next in its lane")
	program    = flag.String("program", "", "the service, built with -tags faults; made if empty")
	long       = flag.Bool("long", false, "the same as -operations 200000 -faults 300 -between 2s")
)

// atMost is when a run ends that has not reached what it is to reach.
const atMost = 25 * time.Minute

// What was acknowledged is there once, what was not asked for is not there, and
// everything else that the README promises, whatever fails meanwhile.
func TestOrdeal(t *testing.T) {
	t.Parallel()
	if *long {
		*operations, *mishaps, *between = max(*operations, 200_000), max(*mishaps, 300), 2*time.Second
	}
	w := newWorld(t)
	var all []*client
	for i := range clients {
		p := &player{seed: *seed, client: i, own: w.own[i], ground: w.ground, clock: time.Now}
		all = append(all, newClient(p, &w.score, "http://"+w.front.Addr(), w.apiKey))
	}

	w.play(all, func() { time.Sleep(3 * time.Second) }) // without a fault, to know what is normal
	var before [replicas]measure
	for i, s := range w.slots {
		before[i] = s.replica().measure()
	}
	began := time.Now()
	w.play(all, func() { w.fail(began) })
	if t.Failed() {
		t.FailNow() // where something could not be mended, there is nothing to prove
	}
	took := time.Since(began)

	v := w.prove(all)
	leaks, takes := 0, make([]string, replicas)
	for i, s := range w.slots {
		after, all := s.replica().leaks(before[i])
		takes[i] = after.since(before[i])
		for _, leak := range all {
			leaks++
			w.score.violate("replica %d has %s", i, leak)
		}
	}
	if n := w.sessions(); n > 18*replicas {
		leaks++
		w.score.violate("%d sessions at PostgreSQL", n)
	}
	repeated, changed := 0, 0
	for _, c := range all {
		n, c := c.repeat(w.ctx)
		repeated, changed = repeated+n, changed+c
	}
	w.tell(figures{verdict: v, took: took, repeated: repeated, changed: changed, leaks: leaks, takes: takes})
	require.Zero(t, len(w.score.violations), "violations") //nolint:testifylint // they are told already
	require.Empty(t, v.findings, "%s", v)
	w.requireFound(all)
}

// play lets the clients play while f runs, and then bring to an end what they have begun.
func (w *world) play(all []*client, f func()) {
	enough, stop := context.WithCancel(w.ctx)
	patient, giveUp := context.WithCancel(w.ctx)
	defer giveUp()
	var playing sync.WaitGroup
	for _, c := range all {
		playing.Go(func() { c.play(enough, patient) })
	}
	f()
	stop()
	late := time.AfterFunc(2*time.Minute, giveUp)
	defer late.Stop()
	playing.Wait()
}

// fail lets both lanes run until there was enough of everything.
func (w *world) fail(began time.Time) {
	enough, stop := context.WithCancel(w.ctx)
	defer stop()
	var lanes sync.WaitGroup
	for number, kinds := range [][]string{ofDatabase, ofTheRest} {
		lanes.Go(func() { w.lane(enough, number, newSchedule(*seed, uint64(number), kinds)) })
	}
	lanes.Go(func() { w.invite(enough) })
	for tick := time.NewTicker(100 * time.Millisecond); ; <-tick.C {
		took := time.Since(began)
		w.progress(took)
		if took >= *duration && w.score.acknowledged.Load() >= *operations && w.faults() >= *mishaps || w.t.Failed() {
			break
		}
		if took > atMost {
			w.score.violate("after %s there are %d operations and %d faults", took, w.score.acknowledged.Load(), w.faults())
			break
		}
	}
	stop()
	lanes.Wait()
}

func (w *world) faults() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.counts {
		n += c
	}
	return n
}

// progress tells how far it is, every ten seconds.
func (w *world) progress(took time.Duration) {
	if took < w.told {
		return
	}
	w.told = took + 10*time.Second
	w.mu.Lock()
	current := fmt.Sprint(w.current[0], " ", w.current[1])
	w.mu.Unlock()
	w.score.mu.Lock()
	violations := len(w.score.violations)
	w.score.mu.Unlock()
	fmt.Fprintf(os.Stderr, "%4.0f s: %d operations acknowledged, %d faults, %d retries, %d violations; now %s\n",
		took.Seconds(), w.score.acknowledged.Load(), w.faults(), w.score.retries.Load(), violations, current)
}

// prove holds what the clients know against the books, and has the ledger proved.
func (w *world) prove(all []*client) *verdict {
	w.t.Helper()
	conn := w.superuser()
	defer conn.Close(w.ctx)
	b, err := readBooks(w.ctx, conn)
	require.NoError(w.t, err)
	v := check(recordsOf(all), b)

	require.NoError(w.t, w.checkpoints.Sync())
	if out, err := w.operator("", "ledger", "verify", "--json", "--checkpoints", w.checkpoints.Name()); err != nil {
		w.score.violate("ledger verify: %v\n%s", err, out)
	}
	w.requireMails()
	w.requireLines()
	return v
}

func recordsOf(all []*client) (records []record) {
	for _, c := range all {
		records = append(records, c.records...)
	}
	return records
}

// requireMails asserts that everybody who was invited gets the mail. What waits
// for a later try is tried at once, and what a replica did that was killed, a
// while later; the service would take minutes to be sure.
func (w *world) requireMails() {
	w.t.Helper()
	missing := func() (n int) {
		got := map[string]bool{}
		for _, m := range w.box.Messages("") {
			for _, to := range m.To {
				got[strings.ToLower(to)] = true
			}
		}
		for _, email := range w.invited {
			if !got[email] {
				n++
			}
		}
		return n
	}
	for until := time.Now().Add(5 * time.Minute); missing() > 0; time.Sleep(time.Second) {
		w.sql("UPDATE river_job SET scheduled_at = now() WHERE kind = 'mail' AND state IN ('retryable', 'scheduled') AND scheduled_at > now()",
			`UPDATE river_job SET attempted_at = now() - interval '1 hour' WHERE kind = 'mail' AND state = 'running'
				AND attempted_at BETWEEN now() - interval '50 minutes' AND now() - interval '70 seconds'`)
		if time.Now().After(until) {
			w.score.violate("%d of %d mails did not arrive", missing(), len(w.invited))
			return
		}
	}
}

// requireLines asserts that lines reach Logstash again.
func (w *world) requireLines() {
	w.t.Helper()
	before := w.lines.lines.Load()
	for until := time.Now().Add(2 * time.Minute); w.lines.lines.Load() <= before+10; time.Sleep(50 * time.Millisecond) {
		_, _ = w.ask(http.MethodGet, "/v1/users/nobody/credits", "X-API-Key", w.apiKey, nil, nil)
		if time.Now().After(until) {
			w.score.violate("no lines reach Logstash")
			return
		}
	}
}

// count is how many findings there are of a kind.
func (v *verdict) count(what string) (n int) {
	for _, f := range v.findings {
		if f.what == what {
			n++
		}
	}
	return n
}

// figures are the rest of what is told.
type figures struct {
	*verdict
	took                     time.Duration
	repeated, changed, leaks int
	takes                    []string // what each replica takes, and took before
}

// tell prints the one line.
func (w *world) tell(f figures) {
	s := &w.score
	kinds := make([]string, 0, len(w.counts))
	for _, kind := range slices.Sorted(maps.Keys(w.counts)) {
		kinds = append(kinds, fmt.Sprintf("%s=%d", kind, w.counts[kind]))
	}
	starts := 0
	for _, slot := range w.slots {
		starts += slot.starts
	}
	sound := "sound"
	for _, v := range s.violations {
		if strings.HasPrefix(v, "ledger verify") {
			sound = "broken"
		}
	}
	fmt.Fprintf(os.Stderr, "ordeal: seed=%d seconds=%.0f replicas=%d clients=%d acknowledged=%d refused=%d reads=%d transactions=%d hold_events=%d"+
		" retries=%d lost_answers=%d answers_503=%d asked_again_done=%d asked_again_not_done=%d found_by_service=%d never_asked_done=%d never_asked_not_done=%d"+
		" faults=%d kinds=%d (%s) disk_full_by=%s starts=%d whole_again_s=%.1f invitations=%d lines_shipped=%d"+
		" lost=%d duplicated=%d phantom=%d altered=%d negative=%d unbalanced=%d replays=%d changed_replays=%d leaks=%d (%s) ledger=%s violations=%d\n",
		*seed, f.took.Seconds(), replicas, clients, s.acknowledged.Load(), s.refusals.Load(), s.reads.Load(), f.transactions, f.holds,
		s.retries.Load(), s.lostAnswers.Load(), s.refusals5.Load(), s.replayed.Load(), s.anew.Load(), s.within.Load(), f.settled, f.unsettled,
		w.faults(), len(w.counts), strings.Join(kinds, " "), w.disk, starts, w.slowest.Seconds(), len(w.invited), w.lines.lines.Load(),
		f.count(lost), f.count(duplicated), f.count(phantom), f.count(altered), f.count(negative), f.count(unbalanced),
		f.repeated, f.changed, f.leaks, strings.Join(f.takes, "; "), sound, len(s.violations))
}
