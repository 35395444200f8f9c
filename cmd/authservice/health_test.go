package main

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/httpapi"
	"github.com/authservice/authservice/internal/pgtest"
)

var healthy = httpapi.Readiness{Database: true, Migrations: true, Shutdown: true}

// A flood of probes asks the database once a second, over one connection.
func TestHealth_Flood(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool
	before := pool.Stat()
	require.Equal(t, healthy, newHealth(pool).check(t.Context()))
	aLook := pool.Stat().AcquireCount() - before.AcquireCount()

	h := newHealth(pool)
	began, before := time.Now(), pool.Stat()
	var probes sync.WaitGroup
	for range 100 {
		probes.Go(func() {
			for range 100 {
				if found := h.check(t.Context()); found != healthy {
					t.Errorf("not ready: %v", found)
				}
			}
		})
	}
	probes.Wait()
	asked := pool.Stat().AcquireCount() - before.AcquireCount()
	require.LessOrEqual(t, asked, aLook*(1+int64(time.Since(began)/healthCached)))
	require.LessOrEqual(t, pool.Stat().TotalConns(), max(1, before.TotalConns()))
}

// While one looks at a database that hangs, the others are told what was found last.
func TestHealth_NobodyWaitsBehindAnother(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	h := newHealth(db.Pool)
	require.Equal(t, healthy, h.check(t.Context()))
	h.found.Store(&finding{healthy, time.Now().Add(-time.Hour)})

	tx, err := db.Owner(t).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK schema_migrations IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	looked := make(chan httpapi.Readiness)
	go func() { looked <- h.check(context.Background()) }()
	looking := func() bool {
		free := h.looking.TryLock()
		if free {
			h.looking.Unlock()
		}
		return !free
	}
	require.Eventually(t, looking, eventually, time.Millisecond)
	for range 100 {
		if found := h.check(t.Context()); looking() {
			require.Equal(t, healthy, found)
		}
	}
	require.Equal(t, httpapi.Readiness{Shutdown: true}, <-looked, "after two seconds it has failed")
	require.Equal(t, httpapi.Readiness{Shutdown: true}, h.check(t.Context()), "and all are told")
	require.NoError(t, tx.Rollback(t.Context()))

	h.found.Store(&finding{httpapi.Readiness{}, time.Now().Add(-time.Hour)})
	require.Equal(t, healthy, h.check(t.Context()), "it has recovered")
	h.stop()
	require.Equal(t, httpapi.Readiness{Database: true, Migrations: true}, h.check(t.Context()), "a shutdown is told at once")
}

// Bodies are what the contract says, and nothing more.
func TestHealth_Bodies(t *testing.T) {
	t.Parallel()
	s := startService(t)
	for path, want := range map[string]string{
		"/health/live":  `{"status":"live"}`,
		"/health/ready": `{"status":"ready","checks":{"database":"ok","migrations":"ok","shutdown":"ok"}}`,
	} {
		response, err := http.Get(s.url + path)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, 200, response.StatusCode)
		require.JSONEq(t, want, string(body))
	}
	require.NotContains(t, s.logs.String(), "/health/", "probes fill no log, unless it is to debug")
}
