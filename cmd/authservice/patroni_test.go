//go:build patroni && linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/faults"
	"github.com/authservice/authservice/internal/pgtest"
)

// The leader of a cluster of three is killed under load. The service follows to the
// next one, by way of HAProxy and by itself, and nothing is lost that it acknowledged.
//
// It has a build tag because it needs the packages patroni, etcd-server and haproxy:
//
//	go test -tags patroni ./cmd/authservice -run Patroni -v
func TestPatroni_Failover(t *testing.T) {
	t.Parallel()
	cluster := faults.StartPatroni(t)
	ways := []*way{
		{name: "HAProxy", process: startProcess(t, &pgtest.Database{URL: cluster.BalancedURL()})},
		{name: "several hosts", process: startProcess(t, &pgtest.Database{URL: cluster.HostsURL()})},
	}
	admin := ways[0].admin(t)
	user := ways[0].user(t)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer stop()
	for _, w := range ways {
		for range 4 {
			clients.Go(func() { w.grant(ctx, admin.session.AccessToken, user.id()) })
		}
	}
	written := func(w *way, n int64) func() bool { return func() bool { return w.done.Load() >= n } }
	for _, w := range ways {
		require.Eventually(t, written(w, 100), eventually, aMoment)
	}

	killed := time.Now()
	t.Log("killed", cluster.KillLeader())
	for _, w := range ways {
		w.killed.Store(killed.UnixNano())
	}
	for _, w := range ways {
		require.Eventually(t, func() bool { return w.again.Load() != 0 }, failoverLimit, aMoment, "%s: %s", w.name, w.logs)
		t.Logf("%s: writes again %s after the kill", w.name, time.Duration(w.again.Load()).Round(10*time.Millisecond))
	}
	for _, w := range ways {
		require.Eventually(t, written(w, w.done.Load()+100), eventually, aMoment)
	}
	stop()
	clients.Wait()

	rows, err := cluster.Superuser().Query(t.Context(), "SELECT id FROM credit_transactions")
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	require.NoError(t, err)
	kept := map[uuid.UUID]bool{}
	for _, id := range ids {
		kept[id] = true
	}
	acknowledged, lost := 0, 0
	for _, w := range ways {
		require.Empty(t, w.odd, w.name)
		for _, id := range w.acknowledged {
			if acknowledged++; !kept[id] {
				lost++
			}
		}
	}
	t.Log(acknowledged, "acknowledged writes,", lost, "lost")
	require.Zero(t, lost)
	require.Len(t, ids, acknowledged, "each was repeated until it was acknowledged, and done once")
	require.EqualValues(t, acknowledged, ways[1].withSession(t, user.session).balance(t).Balance)
	var out, problems bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"ledger", "verify"}, env{stdout: &out, stderr: &problems, environ: ways[1].environ}), problems.String())
	t.Log(out.String())
}

// failoverLimit is twice what is promised: the machine may be busy.
const failoverLimit = time.Minute

// way is a service that reaches the cluster in one of the ways that there are.
type way struct {
	*process
	name   string
	done   atomic.Int64
	killed atomic.Int64 // when the leader was, 0 before
	again  atomic.Int64 // how much later the first write was begun and done

	mu           sync.Mutex
	acknowledged []uuid.UUID
	odd          []string // answers that are none of a failover
}

// grant grants single credits until ctx ends, each until it is acknowledged.
func (w *way) grant(ctx context.Context, token string, user uuid.UUID) {
	for ctx.Err() == nil {
		key := uuid.NewString()
		for acknowledged := false; !acknowledged; {
			began := time.Now().UnixNano()
			status, body, err := w.post(token, user, key)
			acknowledged = status == http.StatusCreated
			switch {
			case acknowledged:
				var made struct{ ID uuid.UUID }
				_ = json.Unmarshal(body, &made) // what cannot be read is not found afterwards
				w.mu.Lock()
				w.acknowledged = append(w.acknowledged, made.ID)
				w.mu.Unlock()
				w.done.Add(1)
				if killed := w.killed.Load(); killed != 0 && began > killed {
					w.again.CompareAndSwap(0, time.Now().UnixNano()-killed)
				}
			case status == http.StatusServiceUnavailable:
				time.Sleep(50 * time.Millisecond) // less than Retry-After says
			default:
				w.mu.Lock()
				w.odd = append(w.odd, fmt.Sprint(status, " ", string(body), " ", err))
				w.mu.Unlock()
				return
			}
		}
	}
}

func (w *way) post(token string, user uuid.UUID, key string) (status int, body []byte, err error) {
	r, err := http.NewRequest(http.MethodPost, w.url+"/v1/users/"+user.String()+"/credits/grants", strings.NewReader(`{"amount":1}`))
	if err != nil {
		return 0, nil, err
	}
	r.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}, "Idempotency-Key": {key}}
	response, err := (&http.Client{Timeout: 30 * time.Second}).Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}
