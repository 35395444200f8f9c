package identity

import (
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/mailer"
)

// tell is what the ledger does in the transaction of a posting.
func (b *bundle) tell(t *testing.T, notices ...CreditNotice) {
	t.Helper()
	require.NoError(t, pgx.BeginFunc(t.Context(), b.db.Pool, func(tx pgx.Tx) error { return b.TellOfCredits(t.Context(), tx, notices) }))
}

func TestIdentity_TellOfCredits(t *testing.T) {
	t.Parallel()
	low := func(o *Options) { o.LowBalance = 2_500 }

	t.Run("GrantedAndLow", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t, low)
		a, b := p.account(t, ada, true).ID, p.account(t, "bob@example.com", true).ID
		_, err := p.UpdateMe(t.Context(), b, UserChange{Locale: new("de-AT")})
		require.NoError(t, err)
		p.tell(t,
			CreditNotice{UserID: a, Granted: 100_050, Balance: 1_234_500},
			CreditNotice{UserID: b, Balance: 1_250, Low: true},
			CreditNotice{UserID: a, Balance: 1_234_400}, // spent, and nothing to tell
			CreditNotice{UserID: b, Granted: 1, Balance: 0, Low: true})
		arrived := p.requirePost(t, "credits_granted "+ada, "low_balance bob@example.com", "credits_granted bob@example.com", "low_balance bob@example.com")
		require.Contains(t, arrived[0].Text, "1,000.50 credits were added")
		require.Contains(t, arrived[0].Text, "You now have 12,345.00")
		require.Contains(t, arrived[1].Text, "hat noch 12,50 Credits")
		require.Contains(t, arrived[1].Text, "weniger als 25,00")
		require.Contains(t, arrived[2].Text, "0,01 Credits")
		require.Contains(t, arrived[3].Text, "hat noch 0,00 Credits", "nothing left is something to tell")
		require.Equal(t, 1, one[int](t, p.bundle, "SELECT count(DISTINCT xmin::text || cmin::text) FROM river_job WHERE kind = 'mail'"), "in one statement")
	})

	t.Run("WithThePostingOrNotAtAll", func(t *testing.T) {
		t.Parallel()
		b := setup(t, low)
		user := b.account(t, ada, true).ID
		undone := errors.New("undone")
		require.ErrorIs(t, pgx.BeginFunc(t.Context(), b.db.Pool, func(tx pgx.Tx) error {
			return errors.Join(b.TellOfCredits(t.Context(), tx, []CreditNotice{{UserID: user, Granted: 1, Balance: 1}}), undone)
		}), undone)
		require.Zero(t, b.count(t, "river_job"))
	})

	// Whoever wants no mails pays nothing for them: the transaction is not even looked at.
	t.Run("NothingToTell", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t, low)
		all := []CreditNotice{{UserID: uuid.Must(uuid.NewV7()), Granted: 5, Balance: 5, Low: true}}
		require.NoError(t, p.TellOfCredits(t.Context(), nil, nil))
		require.NoError(t, p.TellOfCredits(t.Context(), nil, []CreditNotice{{Balance: 5}}))
		p.disable(t, mailer.CreditsGranted, mailer.LowBalance)
		require.NoError(t, p.TellOfCredits(t.Context(), nil, all))
		p.Mailer = nil
		require.NoError(t, p.TellOfCredits(t.Context(), nil, all))
	})

	t.Run("OneOfTwoSwitchedOff", func(t *testing.T) {
		t.Parallel()
		p := setupPostal(t, low)
		p.disable(t, mailer.CreditsGranted)
		p.tell(t, CreditNotice{UserID: p.account(t, ada, true).ID, Granted: 5, Balance: 5, Low: true})
		p.requirePost(t, "low_balance "+ada)
	})

	t.Run("GoesWithThePerson", func(t *testing.T) {
		t.Parallel()
		b := setup(t, low)
		user := b.account(t, ada, true).ID
		b.tell(t, CreditNotice{UserID: user, Granted: 5, Balance: 5})
		require.Equal(t, 1, b.mailed(t, mailer.CreditsGranted))
		require.NoError(t, b.DeleteUser(t.Context(), Caller{Role: RoleAdmin}, user))
		require.Zero(t, b.mailed(t, mailer.CreditsGranted))
	})
}
