package main

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/api/authclient"
)

func (c *caller) getHold(t *testing.T, id uuid.UUID) authclient.Hold {
	t.Helper()
	r, err := c.GetCreditHoldWithResponse(t.Context(), id)
	require.NoError(t, err)
	require.NotNil(t, r.JSON200, string(r.Body))
	return *r.JSON200
}

func (c *caller) capture(t *testing.T, id uuid.UUID, request authclient.CaptureRequest) *authclient.CaptureCreditHoldResponse {
	t.Helper()
	r, err := c.CaptureCreditHoldWithResponse(t.Context(), id, &authclient.CaptureCreditHoldParams{IdempotencyKey: uuid.NewString()}, request)
	require.NoError(t, err)
	return r
}

func TestHolds(t *testing.T) {
	t.Parallel()
	s := startService(t)
	backend := s.backend(t, authclient.ScopeCreditsDebit)
	user := s.user(t)
	s.admin(t).grant(t, user.id(), 1000)

	metadata := authclient.Metadata(`{"seats":[1,2]}`)
	placed := backend.hold(t, user.id(), authclient.HoldRequest{
		Amount: 400, Reference: new("booking-5"), Description: new("Two seats"), Metadata: &metadata,
	})
	require.Equal(t, authclient.HoldStatusActive, placed.Status)
	require.Equal(t, user.id(), placed.UserID)
	require.Zero(t, placed.CapturedAmount)
	require.True(t, placed.TransactionID.IsNull())
	require.Equal(t, 15*time.Minute, placed.ExpiresAt.Sub(placed.CreatedAt))
	require.Equal(t, placed.CreatedAt, placed.UpdatedAt)
	require.JSONEq(t, string(metadata), string(placed.Metadata))
	require.Empty(t, cmp.Diff(placed, backend.getHold(t, placed.ID), nullables))
	requireBalance(t, user, 1000, 400)

	// What is held cannot be spent otherwise.
	require.Equal(t, 402, user.debit(t, "k", authclient.DebitRequest{Amount: 601}).StatusCode())
	require.Equal(t, 201, user.debit(t, "k2", authclient.DebitRequest{Amount: 600}).StatusCode())
	requireBalance(t, user, 400, 400)
	s.admin(t).grant(t, user.id(), 100)

	incremented, err := backend.IncrementCreditHoldWithResponse(t.Context(), placed.ID, &authclient.IncrementCreditHoldParams{IdempotencyKey: "more"},
		authclient.IncrementRequest{Amount: 50})
	require.NoError(t, err)
	require.EqualValues(t, 450, incremented.JSON200.Amount)
	require.Equal(t, placed.ExpiresAt, incremented.JSON200.ExpiresAt)
	require.True(t, incremented.JSON200.UpdatedAt.After(placed.UpdatedAt))
	requireBalance(t, user, 500, 450)

	// A part, and the rest stays held.
	part := backend.capture(t, placed.ID, authclient.CaptureRequest{Amount: new(int64(120)), Final: new(false)}).JSON200
	require.Equal(t, authclient.HoldStatusActive, part.Status)
	require.EqualValues(t, 120, part.CapturedAmount)
	requireBalance(t, user, 380, 330)
	capture := user.history(t)[0]
	require.Equal(t, authclient.TransactionTypeCapture, capture.Type)
	require.EqualValues(t, -120, capture.Amount)
	require.Equal(t, placed.ID, capture.HoldID.MustGet())
	require.Equal(t, part.TransactionID.MustGet(), capture.ID)
	require.Equal(t, "booking-5", capture.Reference.MustGet())
	require.Equal(t, "Two seats", capture.Description.MustGet())
	require.JSONEq(t, string(metadata), string(capture.Metadata))
	require.Equal(t, authclient.ActorTypeAPIKey, capture.Actor.Type)

	// Another, and the hold is over.
	last := backend.capture(t, placed.ID, authclient.CaptureRequest{Amount: new(int64(30))}).JSON200
	require.Equal(t, authclient.HoldStatusCaptured, last.Status)
	require.EqualValues(t, 150, last.CapturedAmount)
	requireBalance(t, user, 350, 0)
	require.Equal(t, 409, backend.capture(t, placed.ID, authclient.CaptureRequest{}).StatusCode())
	require.Empty(t, cmp.Diff(*last, backend.getHold(t, placed.ID), nullables))

	// All of one, without a body or with one that is blank.
	all := backend.hold(t, user.id(), authclient.HoldRequest{Amount: 100})
	for _, nothing := range []string{"", " \n"} {
		response, body := backend.send(t, "POST", "/v1/credits/holds/"+all.ID.String()+"/capture", nothing, "Idempotency-Key", "all")
		require.Equal(t, 200, response.StatusCode, string(body))
	}
	requireBalance(t, user, 250, 0)
	require.EqualValues(t, 100, backend.getHold(t, all.ID).CapturedAmount)

	// And none of one.
	none := backend.hold(t, user.id(), authclient.HoldRequest{Amount: 250})
	voided, err := backend.VoidCreditHoldWithResponse(t.Context(), none.ID, &authclient.VoidCreditHoldParams{IdempotencyKey: "void"})
	require.NoError(t, err)
	require.Equal(t, authclient.HoldStatusVoided, voided.JSON200.Status)
	requireBalance(t, user, 250, 0)
	requireConsistent(t, user.history(t), 6)
}

func requireBalance(t *testing.T, c *caller, balance, held int64) {
	t.Helper()
	b := c.balance(t)
	require.Equal(t, []int64{balance, held, balance - held}, []int64{b.Balance, b.Held, b.Available})
}

func TestHolds_Unknown(t *testing.T) {
	t.Parallel()
	s := startService(t)
	r, err := s.backend(t, authclient.ScopeCreditsDebit).GetCreditHoldWithResponse(t.Context(), uuid.New())
	require.NoError(t, err)
	require.Equal(t, "hold_not_found", r.ApplicationProblemJSON404.Code)
}

// Holds are listed newest first, as they are now, and a page is the same page
// whatever is added meanwhile.
func TestHolds_Lists(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, user := s.admin(t), s.user(t)
	admin.grant(t, user.id(), 100)
	var placed []authclient.Hold
	for range 5 {
		placed = append(placed, admin.hold(t, user.id(), authclient.HoldRequest{Amount: 1, Description: new("d")}))
	}
	admin.capture(t, placed[1].ID, authclient.CaptureRequest{})
	placed[1] = admin.getHold(t, placed[1].ID)
	slices.Reverse(placed)

	var seen []authclient.Hold
	var cursor *string
	for {
		r, err := user.ListMyCreditHoldsWithResponse(t.Context(), &authclient.ListMyCreditHoldsParams{Limit: new(2), Cursor: cursor})
		require.NoError(t, err)
		require.NotNil(t, r.JSON200, string(r.Body))
		seen = append(seen, r.JSON200.Items...)
		admin.hold(t, user.id(), authclient.HoldRequest{Amount: 1}) // must not be seen, nor move anything
		if r.JSON200.NextCursor.IsNull() {
			break
		}
		cursor = new(r.JSON200.NextCursor.MustGet())
	}
	require.Empty(t, cmp.Diff(placed, seen, nullables))
	all, err := s.backend(t, authclient.ScopeCreditsRead).ListUserCreditHoldsWithResponse(t.Context(), user.id(), nil)
	require.NoError(t, err)
	require.Len(t, all.JSON200.Items, 8)
	require.Empty(t, cmp.Diff(placed, all.JSON200.Items[3:], nullables))

	exported, err := user.ExportMeWithResponse(t.Context())
	require.NoError(t, err)
	require.NotNil(t, exported.JSON200, string(exported.Body))
	require.Empty(t, cmp.Diff(all.JSON200.Items, exported.JSON200.Credits.Holds, nullables))

	nobody, err := admin.ListUserCreditHoldsWithResponse(t.Context(), uuid.New(), nil)
	require.NoError(t, err)
	require.Equal(t, 404, nobody.StatusCode())
}

// How long a hold may last.
func TestHolds_ExpiresIn(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, user := s.admin(t), s.user(t)
	admin.grant(t, user.id(), 10)
	path := "/v1/users/" + user.id().String() + "/credits/holds"
	for _, body := range []string{`0`, `-1`, `31536001`, `1.5`, `"60"`, `null`} {
		response, answer := admin.send(t, "POST", path, `{"amount":1,"expires_in":`+body+`}`, "Idempotency-Key", uuid.NewString())
		require.Equal(t, 422, response.StatusCode, body)
		requireProblem(t, response, answer, "validation_failed", "/expires_in")
	}
	year := admin.hold(t, user.id(), authclient.HoldRequest{Amount: 1, ExpiresIn: new(31536000)})
	require.Equal(t, 365*24*time.Hour, year.ExpiresAt.Sub(year.CreatedAt))
}

// A hold that is over lets go by itself, at the moment it said, and what its
// grant's expiry spared for its sake expires then.
func TestHolds_Expire(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, user := s.admin(t), s.user(t)
	admin.grant(t, user.id(), 100)
	hold := admin.hold(t, user.id(), authclient.HoldRequest{Amount: 70, ExpiresIn: new(1)})
	require.Equal(t, time.Second, hold.ExpiresAt.Sub(hold.CreatedAt))

	require.Eventually(t, func() bool { return user.balance(t).Available == 100 }, time.Minute, 50*time.Millisecond)
	require.Equal(t, authclient.HoldStatusExpired, admin.getHold(t, hold.ID).Status)
	late := admin.capture(t, hold.ID, authclient.CaptureRequest{})
	require.Equal(t, "hold_not_active", late.ApplicationProblemJSON409.Code)
	require.Equal(t, authclient.HoldStatusExpired, admin.getHold(t, hold.ID).Status)
	requireBalance(t, user, 100, 0)
}

// What has expired shows in the history without anybody's request: the periodic
// job does it, on the next start at the latest.
func TestExpiry_ShowsByItself(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, user := s.admin(t), s.user(t)
	var granted *authclient.GrantUserCreditsResponse
	require.Eventually(t, func() bool { // where the machine is slow, it may be over before it is made
		var err error
		granted, err = admin.GrantUserCreditsWithResponse(t.Context(), user.id(), &authclient.GrantUserCreditsParams{IdempotencyKey: uuid.NewString()},
			authclient.GrantRequest{Amount: 100, ExpiresAt: new(time.Now().Add(2 * time.Second))})
		return err == nil && granted.JSON201 != nil
	}, time.Minute, time.Millisecond)
	require.Eventually(t, func() bool { return user.balance(t).Balance == 0 }, time.Minute, 50*time.Millisecond)
	require.Zero(t, s.stop())

	user = startServiceOn(t, s.db, s.environ...).withSession(t, user.session)
	require.Eventually(t, func() bool { return len(user.history(t)) == 2 }, time.Minute, 50*time.Millisecond)
	expiry := user.history(t)[0]
	require.Equal(t, authclient.TransactionTypeExpiry, expiry.Type)
	require.EqualValues(t, -100, expiry.Amount)
	require.Equal(t, authclient.ActorTypeSystem, expiry.Actor.Type)
	require.True(t, expiry.Actor.ID.IsNull())
	require.Equal(t, granted.JSON201.GrantID, expiry.GrantID)
}

// Many hands on one hold: it is captured to the last credit and not beyond.
func TestHolds_CapturedInParallel(t *testing.T) {
	t.Parallel()
	s := startService(t)
	admin, user := s.admin(t), s.user(t)
	admin.grant(t, user.id(), 1000)
	hold := admin.hold(t, user.id(), authclient.HoldRequest{Amount: 100})

	statuses := make([]int, 64)
	parallel(64, func(i int) {
		if i%8 == 7 {
			r, err := admin.IncrementCreditHoldWithResponse(t.Context(), hold.ID, &authclient.IncrementCreditHoldParams{IdempotencyKey: uuid.NewString()}, authclient.IncrementRequest{Amount: 10})
			if err == nil {
				statuses[i] = r.StatusCode()
			}
			return
		}
		statuses[i] = admin.capture(t, hold.ID, authclient.CaptureRequest{Amount: new(int64(7)), Final: new(false)}).StatusCode()
	})
	var captured, added int64
	for i, status := range statuses {
		require.Contains(t, []int{200, 409, 422}, status)
		switch {
		case status == 200 && i%8 == 7:
			added += 10
		case status == 200:
			captured += 7
		}
	}
	end := admin.getHold(t, hold.ID)
	require.Equal(t, captured, end.CapturedAmount)
	require.Equal(t, 100+added, end.Amount)
	b := user.balance(t)
	require.Equal(t, 1000-captured, b.Balance)
	if end.Status == authclient.HoldStatusActive {
		require.Equal(t, end.Amount-captured, b.Held)
	} else {
		require.Zero(t, b.Held)
	}
	requireConsistent(t, user.history(t), int(captured/7)+1)
}
