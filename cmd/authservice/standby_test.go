package main

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
	"github.com/authservice/authservice/internal/faults"
	"github.com/authservice/authservice/internal/pgtest"
)

// standby is a service that reads from one what may be late.
type standby struct {
	*service
	pg   *faults.Postgres
	user *caller
	as   *caller // an administrator
}

// seen is what reads tell of what has just been written.
type seen struct {
	Balance, Transactions, AllTransactions, Statement, Export int64
	Users                                                     bool
	Events                                                    bool
}

// Lists are read from a standby while it is near, and from the primary while it is
// late or away; nothing else ever is.
func TestStandby(t *testing.T) {
	t.Parallel()
	primary := faults.StartPostgres(t, "wal_keep_size=256MB")
	second := primary.StartStandby()
	start := func(maxLag string) *standby {
		db := &pgtest.Database{URL: primary.URL(primary.Addr())}
		return &standby{pg: second, service: startServiceOn(t, db, processKey, "AUTH_RATE_LIMIT_ENABLED=false", "AUTH_DATABASE_SILENCE_TIMEOUT=2s",
			"AUTH_DATABASE_REPLICA_URL="+second.URL(second.Addr()), "AUTH_DATABASE_REPLICA_MAX_LAG="+maxLag)}
	}
	tolerant, strict := start("1h"), start("1s")
	user, admin := tolerant.service.user(t), tolerant.admin(t)
	for _, s := range []*standby{tolerant, strict} {
		s.user, s.as = s.withSession(t, user.session), s.withSession(t, admin.session)
	}
	// next returns what waits until a service has said once more what becomes of it.
	next := func(s *standby, what string) func() {
		count := func() int { return strings.Count(s.logs.String(), "the standby is "+what) }
		before := count()
		return func() {
			t.Helper()
			require.Eventually(t, func() bool { return count() > before }, eventually, aMoment, what)
		}
	}
	replay := func(how string) {
		t.Helper()
		_, err := second.Superuser().Exec(t.Context(), "SELECT pg_wal_replay_"+how+"()")
		require.NoError(t, err)
	}
	all := func(n int64) seen { return seen{n, n, n, n, n, true, true} }
	grants := int64(0)
	grant := func() { t.Helper(); admin.grant(t, user.id(), 1); grants++ }
	require.Eventually(t, func() bool { return tolerant.look(t, user) == seen{Users: true, Events: true} }, eventually, aMoment)

	// Its replay stands still: what tolerates it is late, and the rest is not.
	replay("pause")
	grant()
	later := tolerant.service.user(t)
	require.Eventually(t, func() bool { return tolerant.look(t, later) == seen{Balance: 1, Statement: 1} }, eventually, aMoment)
	require.Eventually(t, func() bool { return strict.look(t, later) == all(1) }, eventually, aMoment)
	require.Zero(t, strict.metric(t, "authservice_database_standby_near"))
	require.Positive(t, tolerant.metric(t, "authservice_database_standby_near"))
	replay("resume")
	require.Eventually(t, func() bool { return tolerant.look(t, later) == all(1) }, eventually, aMoment)

	// Whatever happens to it, nobody is refused anything.
	for _, fault := range []struct {
		name      string
		fail, end func()
	}{{"Killed", second.Kill, second.Start}, {"StandsStill", second.Freeze, second.Thaw}, {"Stopped", second.Stop, second.Start}} {
		t.Run(fault.name, func(t *testing.T) {
			away, near := next(tolerant, "away"), next(tolerant, "near")
			refused := tolerant.under(t, func() {
				fault.fail()
				grant()
				require.Eventually(t, func() bool { return tolerant.look(t, later) == all(grants) }, eventually, aMoment)
				away()
				fault.end()
				near()
			})
			require.Zero(t, refused)
		})
	}
}

// look reads in every way, all of which have seen the event of a person's registration, or not.
func (s *standby) look(t *testing.T, person *caller) (is seen) {
	t.Helper()
	ctx, id := t.Context(), s.user.id()
	is.Balance = s.user.balance(t).Balance
	is.Transactions = int64(len(s.user.history(t)))
	everything, err := s.as.ListCreditTransactionsWithResponse(ctx, &authclient.ListCreditTransactionsParams{})
	require.NoError(t, err)
	require.NotNil(t, everything.JSON200, string(everything.Body))
	is.AllTransactions = int64(len(everything.JSON200.Items))
	response, statement := s.as.send(t, http.MethodGet, "/v1/users/"+id.String()+"/credits/statement", "")
	require.Equal(t, http.StatusOK, response.StatusCode)
	is.Statement = int64(strings.Count(string(statement), ",grant,"))
	response, export := s.user.send(t, http.MethodGet, "/v1/me/export", "")
	require.Equal(t, http.StatusOK, response.StatusCode)
	is.Export = int64(strings.Count(string(export), `"type":"grant"`))
	users, err := s.as.ListUsersWithResponse(ctx, &authclient.ListUsersParams{})
	require.NoError(t, err)
	require.NotNil(t, users.JSON200, string(users.Body))
	for _, user := range users.JSON200.Items {
		is.Users = is.Users || user.ID == person.id()
	}
	target := person.id()
	events, err := s.as.ListAuditEventsWithResponse(ctx, &authclient.ListAuditEventsParams{TargetID: &target})
	require.NoError(t, err)
	require.NotNil(t, events.JSON200, string(events.Body))
	is.Events = len(events.JSON200.Items) > 0
	return is
}

// under keeps clients listing while f runs, and returns how many were refused.
func (s *standby) under(t *testing.T, f func()) (refused int64) {
	t.Helper()
	var clients sync.WaitGroup
	var over atomic.Bool
	var failed atomic.Int64
	for range 4 {
		clients.Go(func() {
			for tick := time.NewTicker(20 * time.Millisecond); !over.Load(); <-tick.C {
				for _, path := range []string{"/v1/me/credits/transactions", "/v1/me/export", "/v1/me/credits"} {
					if status, _ := send(s.url, http.MethodGet, path, "", s.user.session.AccessToken); status != http.StatusOK {
						failed.Add(1)
					}
				}
			}
		})
	}
	defer clients.Wait()
	defer over.Store(true)
	f()
	over.Store(true)
	clients.Wait()
	return failed.Load()
}
