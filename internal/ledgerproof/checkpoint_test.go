package ledgerproof

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/creditledger"
	"github.com/authservice/authservice/internal/dbgen"
	"github.com/authservice/authservice/internal/pgtest"
)

func TestCheckpointer(t *testing.T) {
	t.Parallel()
	w := newWorld(pgtest.New(t).Pool)
	empty := w.checkpoint(t)
	ada, bob := w.open(t), w.open(t)
	w.grant(t, creditledger.GrantParams{UserID: ada, Amount: 10})
	hold := w.hold(t, creditledger.HoldParams{UserID: ada, Amount: 4})
	some := w.checkpoint(t)
	w.clock.Advance(-time.Hour) // clocks go back
	same := w.checkpoint(t)
	w.capture(t, hold, 0, true)
	more := w.checkpoint(t)

	type brief struct {
		Number, Accounts, Transactions, HoldEvents int64
		CreatedAt                                  time.Time
	}
	of := func(c Checkpoint) brief {
		return brief{c.Number, c.Accounts, c.Transactions, c.HoldEvents, c.CreatedAt}
	}
	at := some.CreatedAt
	require.Empty(t, cmp.Diff([]brief{
		{Number: 1, CreatedAt: epoch},
		{Number: 2, Accounts: 2, Transactions: 1, HoldEvents: 1, CreatedAt: at},
		{Number: 3, Accounts: 2, Transactions: 1, HoldEvents: 1, CreatedAt: at.Add(time.Microsecond)},
		{Number: 4, Accounts: 2, Transactions: 2, HoldEvents: 2, CreatedAt: at.Add(2 * time.Microsecond)},
	}, []brief{of(empty), of(some), of(same), of(more)}))
	require.Equal(t, [32]byte{}, empty.Previous)
	require.Equal(t, empty.Root, some.Previous)
	require.Equal(t, some.Root, same.Root, "nothing has changed")
	require.NotEqual(t, same.Root, more.Root)
	require.NotEqual(t, same.Signature, some.Signature)

	// Heads are stored where they changed.
	heads, err := dbgen.New().LedgerCheckpointHeadList(t.Context(), w.pool, dbgen.LedgerCheckpointHeadListParams{PageSize: 100})
	require.NoError(t, err)
	var stored []string
	for _, h := range heads {
		stored = append(stored, fmt.Sprint(map[uuid.UUID]string{ada: "ada ", bob: "bob "}[h.UserID], h.Checkpoint, " ", h.Sequence, " ", h.HoldEvents))
	}
	require.Equal(t, []string{"ada 2 1 1", "ada 4 2 2", "bob 2 0 0"}, stored)

	report, err := Verify(t.Context(), w.pool, Options{Outside: []Checkpoint{empty, more}})
	require.NoError(t, err)
	require.Equal(t, int64(4), report.Checkpoints)
	require.Equal(t, []int64{2, 3}, report.NotOutside)
	require.Equal(t, []string{more.KeyID()}, report.KeyIDs)
}

func TestCheckpointer_IfDue(t *testing.T) {
	t.Parallel()
	w := newWorld(pgtest.New(t).Pool)
	due := func() bool {
		made, err := w.checkpointer.CheckpointIfDue(t.Context(), time.Hour)
		require.NoError(t, err)
		return made != nil
	}
	require.True(t, due(), "the first always is")
	require.False(t, due())
	w.clock.Advance(time.Hour - time.Microsecond)
	require.False(t, due())
	w.clock.Advance(time.Microsecond)
	require.True(t, due())
	require.False(t, due())
}

// Whoever has the line and the public key needs nothing of ours to check it.
func TestCheckpoint_IsVerifiedByAnybody(t *testing.T) {
	t.Parallel()
	w := newWorld(pgtest.New(t).Pool)
	w.open(t)
	made := w.checkpoint(t)
	text, err := json.Marshal(made)
	require.NoError(t, err)
	require.NotContains(t, string(text), "\n")

	var line map[string]any
	require.NoError(t, json.Unmarshal(text, &line))
	statement := "authservice ledger checkpoint v1\n"
	for _, name := range []string{"number", "created_at", "accounts", "transactions", "hold_events", "root", "previous"} {
		statement += fmt.Sprintf("%s %v\n", name, line[name])
	}
	decoded := func(name string) []byte {
		b, err := hex.DecodeString(line[name].(string))
		require.NoError(t, err)
		return b
	}
	require.True(t, ed25519.Verify(decoded("public_key"), []byte(statement), decoded("signature")), statement)
	require.Equal(t, "2026-03-01T12:00:01.000000Z", line["created_at"])
}

func TestReadCheckpoints(t *testing.T) {
	t.Parallel()
	w := newWorld(pgtest.New(t).Pool)
	first, second := w.checkpoint(t), w.checkpoint(t)
	line := func(c Checkpoint) string {
		text, err := json.Marshal(c)
		require.NoError(t, err)
		return string(text)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("ledger checkpoint", "checkpoint", second)

	got, err := ReadCheckpoints(strings.NewReader("\n" + line(first) + "\r\n\n{\"message\":\"ready\"}\n" + log.String()))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]Checkpoint{first, second}, got))

	for name, c := range map[string]struct{ text, want string }{
		"Empty":          {"\n", "it has no checkpoints"},
		"OtherLines":     {`{"message":"ready"}`, "it has no checkpoints"},
		"NoJSON":         {line(first) + "\nhello", "line 2 is not a JSON object"},
		"Array":          {"[" + line(first) + "]", "line 1 is not a JSON object"},
		"Cut":            {line(first)[:100], "line 1 is not a JSON object"},
		"Missing":        {strings.Replace(line(first), `"number":1,`, ``, 1), "line 1: its number is not 1 or more"},
		"Unknown":        {strings.Replace(line(first), `"number":1,`, `"number":1,"x":1,`, 1), "line 1: it is not a checkpoint"},
		"Twice":          {strings.Replace(line(first), `"number":1,`, `"number":1,"number":1,`, 1), "line 1 is not a JSON object"},
		"NumberAsText":   {strings.Replace(line(first), `"number":1`, `"number":"1"`, 1), "line 1: it is not a checkpoint"},
		"NoTime":         {strings.Replace(line(first), `"created_at":"2026`, `"created_at":"x2026`, 1), "line 1: its created_at"},
		"ShortRoot":      {strings.Replace(line(first), `"root":"`, `"root":"00`, 1), "line 1: its root is not 32 bytes in hexadecimal"},
		"NoHex":          {strings.Replace(line(first), `"signature":"`, `"signature":"x`, 1), "line 1: its signature is not 64 bytes in hexadecimal"},
		"AnotherKeyID":   {strings.Replace(line(first), `"key_id":"`, `"key_id":"x`, 1), "line 1: its key_id is not that of its public_key"},
		"LoggedNotAsOne": {`{"checkpoint":7}`, "line 1: it is not a checkpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadCheckpoints(strings.NewReader(c.text))
			require.ErrorContains(t, err, c.want)
		})
	}
}

// A checkpoint is of one moment, whatever goes on meanwhile: each is found to be
// part of the history afterwards. Postings wait for none.
func TestCheckpointer_WhilePosting(t *testing.T) {
	t.Parallel()
	w := newWorld(pgtest.New(t).Pool)
	w.checkpointer.now = time.Now
	w.ledger = creditledger.New(w.pool, creditledger.Options{})
	var users []uuid.UUID
	for range 8 {
		users = append(users, w.open(t))
	}
	const rounds = 25
	var postings, checkpoints sync.WaitGroup
	for i, userID := range users {
		postings.Go(func() {
			for n := range rounds {
				_, err := w.ledger.Grant(t.Context(), w.request(), creditledger.GrantParams{UserID: userID, Amount: 100})
				require.NoError(t, err)
				other := users[(i+1+n%(len(users)-1))%len(users)]
				_, err = w.ledger.Transfer(t.Context(), w.request(), creditledger.TransferParams{FromUserID: userID, ToUserID: other, Amount: 1})
				require.NoError(t, err)
				h, err := w.ledger.Hold(t.Context(), w.request(), creditledger.HoldParams{UserID: userID, Amount: 10, ExpiresIn: time.Hour})
				require.NoError(t, err)
				_, err = w.ledger.CaptureHold(t.Context(), w.request(), h.Hold.ID, creditledger.CaptureParams{Final: true})
				require.NoError(t, err)
			}
		})
	}
	var mu sync.Mutex
	var kept []Checkpoint
	stop := make(chan struct{})
	for range 2 { // replicas
		checkpoints.Go(func() {
			for {
				c, err := w.checkpointer.Checkpoint(t.Context())
				require.NoError(t, err)
				mu.Lock()
				kept = append(kept, c)
				mu.Unlock()
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	postings.Wait()
	close(stop)
	checkpoints.Wait()
	report, err := Verify(t.Context(), w.pool, Options{Outside: kept})
	require.NoError(t, err)
	require.Equal(t, int64(len(kept)), report.Checkpoints)
	require.Empty(t, report.NotOutside)
	require.Greater(t, len(kept), 2)
}
