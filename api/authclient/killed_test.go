package authclient_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

// A program registers somebody and spends, while the service with its database
// is killed and started again, and with tokens that hardly last. It ends with
// exactly the balance that it should.
func TestClient_ServiceKilled(t *testing.T) {
	t.Parallel()
	const granted, workers, each, kills = 1000, 6, 20, 3
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	dir := t.TempDir()
	start := func() *dev {
		d, err := startDev(dir, "AUTH_ACCESS_TOKEN_TTL=2s", "AUTH_REFRESH_GRACE=4m", "AUTH_RATE_LIMIT_ENABLED=false")
		require.NoError(t, err)
		return d
	}
	service := start()
	defer func() { service.kill() }()
	n := newNetwork(t, nil)
	n.lead(t, service)

	often := authclient.WithRetries(authclient.Retries{Attempts: 1000, MinWait: 10 * time.Millisecond, MaxWait: 500 * time.Millisecond})
	backend := newClient(t, n.URL, often, authclient.WithAPIKey(service.APIKey))
	session, err := backend.RegisterUser(ctx, authclient.RegisterRequest{Email: uuid.NewString() + "@example.com", Password: password})
	require.NoError(t, err)
	_, err = backend.GrantUserCredits(ctx, session.User.ID, authclient.GrantRequest{Amount: granted})
	require.NoError(t, err)

	ada := backend.WithSession(*session, nil)
	spent := make(chan struct{}, workers*each)
	var failures atomic.Int64
	var wait sync.WaitGroup
	for worker := range workers {
		wait.Go(func() {
			for i := range each {
				// An order is paid for however often it takes, once.
				order := authclient.WithIdempotencyKey(fmt.Sprintf("order-%d-%d", worker, i))
				for ctx.Err() == nil {
					if _, err := ada.DebitMyCredits(ctx, authclient.DebitRequest{Amount: 3}, order); err == nil {
						spent <- struct{}{}
						break
					}
					failures.Add(1)
				}
			}
		})
	}
	for range kills {
		for range workers * each / (kills + 1) {
			select {
			case <-spent:
			case <-ctx.Done():
				t.Fatal("nothing is spent any more")
			}
		}
		service.kill()
		service = start()
		n.lead(t, service)
	}
	wait.Wait()
	require.NoError(t, ctx.Err())

	balance, err := ada.GetMyCredits(ctx)
	require.NoError(t, err)
	require.EqualValues(t, granted-workers*each*3, balance.Balance)
	require.EqualValues(t, 1+workers*each, balance.Sequence)
	t.Logf("%d requests to spend, %d exchanges, %d calls repeated by the program",
		len(n.requests(debits)), len(n.requests(refresh)), failures.Load())
}
