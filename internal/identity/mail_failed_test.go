package identity

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/jobs"
	"github.com/authservice/authservice/internal/mailer"
)

// fail makes the mails that wait such as River leaves behind when it gives up.
func (b *bundle) fail(t *testing.T, state, why string) {
	t.Helper()
	_, err := b.db.Pool.Exec(t.Context(), `
		UPDATE river_job SET state = $1::text::river_job_state, attempt = 17, finalized_at = now(), errors = ARRAY['{"error":"first"}', json_build_object('error', $2::text)::jsonb]::jsonb[]
		WHERE kind = 'mail' AND state = 'available'`, state, why)
	require.NoError(t, err)
}

func TestIdentity_FailedMails(t *testing.T) {
	t.Parallel()
	p := setupPostal(t)
	session := p.register(t, ada)
	p.fail(t, "discarded", "mailer: connect: refused")
	by := p.caller(t, session)
	require.NoError(t, p.ChangeEmail(t.Context(), by, "countess@example.com", rightPassword, Device{}))
	p.fail(t, "cancelled", jobs.Final(errors.New("mailer: recipient: 550 nobody here")).Error())
	p.register(t, "bob@example.com") // waits

	failed, more, err := p.FailedMails(t.Context(), 0, 10)
	require.NoError(t, err)
	require.False(t, more)
	require.Len(t, failed, 2)
	first, second := failed[0], failed[1]
	require.Equal(t, string(mailer.VerifyEmail), first.Kind)
	require.Equal(t, "a***@example.com", first.Recipient, "the account's address")
	require.Equal(t, "mailer: connect: refused", first.LastError)
	require.Equal(t, 17, first.Tries)
	require.NotZero(t, first.CreatedAt)
	require.NotZero(t, first.FailedAt)
	require.Equal(t, string(mailer.ConfirmEmailChange), second.Kind)
	require.Equal(t, "c***@example.com", second.Recipient, "the new address")
	require.Equal(t, "mailer: recipient: 550 nobody here", second.LastError)

	page, more, err := p.FailedMails(t.Context(), 0, 1)
	require.NoError(t, err)
	require.True(t, more)
	require.Equal(t, failed[:1], page)
	page, more, err = p.FailedMails(t.Context(), first.ID, 1)
	require.NoError(t, err)
	require.False(t, more)
	require.Equal(t, failed[1:], page)

	// Tried again they are as new, and what they carry works.
	p.requirePost(t, "verify_email bob@example.com")
	found, err := p.RetryMails(t.Context(), []int64{first.ID, first.ID, 0, -1})
	require.NoError(t, err)
	require.Equal(t, []int64{first.ID}, found)
	require.Equal(t, 1, one[int](t, p.bundle, "SELECT count(*) FROM river_job WHERE state = 'available' AND attempt = 0 AND max_attempts = 17 AND errors IS NULL AND scheduled_at <= now()"))
	found, err = p.RetryMails(t.Context(), []int64{first.ID})
	require.NoError(t, err)
	require.Empty(t, found, "it has not failed any more")
	p.requireVerify(t, nil, p.requirePost(t, "verify_email "+ada)[0].token(t))
	p.requirePost(t, "welcome "+ada)

	// However late.
	p.clock.advance(linksKept)
	require.NoError(t, p.CleanUp(t.Context()))
	found, err = p.RetryAllMails(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int64{second.ID}, found)
	p.requireVerify(t, nil, p.requirePost(t, "confirm_email_change countess@example.com")[0].token(t))
	failed, _, err = p.FailedMails(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Empty(t, failed)
}

// Of two operators who retry at once one finds the mails.
func TestIdentity_RetryMails_AtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.register(t, ada)
	b.fail(t, "discarded", "x")
	found := make([][]int64, 10)
	together(len(found), func(i int) {
		var err error
		found[i], err = b.RetryAllMails(t.Context())
		require.NoError(t, err)
	})
	total := 0
	for _, ids := range found {
		total += len(ids)
	}
	require.Equal(t, 1, total)
}

func TestMask(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		ada: "a***@example.com", "a@example.com": "***@example.com", "ünal@example.com": "ü***@example.com", "ü@example.com": "***@example.com", "": "", "ada": "",
	} {
		require.Equal(t, want, mask(address), address)
	}
}
