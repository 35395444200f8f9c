package identity

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
)

// variants of one address.
var variants = []string{
	"ada@bücher.example", "ADA@BÜCHER.EXAMPLE", "Ada@Bücher.Example", "ａｄａ@bücher.example", "ＡＤＡ＠ＢÜＣＨＥＲ．ＥＸＡＭＰＬＥ",
	"ada@xn--bcher-kva.example", "ada@XN--Bcher-KVA.example", "ada@bu\u0308cher.example", "ada@bücher。example", "ada@bü\u00adcher.example",
}

func TestIdentity_Register(t *testing.T) {
	t.Parallel()

	t.Run("MakesAnAccountAndLogsIn", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		session, err := b.Register(t.Context(), NewUser{Email: "Ada@Example.COM", Password: rightPassword, Name: "Ada"}, Device{})
		require.NoError(t, err)

		at := startStored
		want := Session{
			ExpiresIn: 15 * time.Minute, RefreshExpiresIn: 30 * 24 * time.Hour,
			User: User{
				Email: ada, Name: "Ada", Role: RoleUser, Status: "active", Metadata: json.RawMessage("{}"),
				CreatedAt: at, UpdatedAt: at, LastLoginAt: &at,
			},
		}
		ignore := cmp.Options{cmpopts.IgnoreFields(Session{}, "AccessToken", "RefreshToken"), cmpopts.IgnoreFields(User{}, "ID")}
		require.Empty(t, cmp.Diff(want, *session, ignore))
		require.EqualValues(t, 7, session.User.ID.Version())
		require.Regexp(t, `^art_[A-Za-z0-9_-]{43}$`, session.RefreshToken)
		require.Equal(t, session.User.ID, b.caller(t, *session).UserID)
	})
	t.Run("NobodyChoosesARole", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		session, err := b.Register(t.Context(), NewUser{Email: ada, Password: rightPassword, Role: RoleAdmin}, Device{})
		require.NoError(t, err)
		require.Equal(t, RoleUser, session.User.Role)
		require.False(t, b.caller(t, *session).IsAdmin())
	})
	t.Run("VariantsAreOneAddress", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.register(t, variants[0])
		for _, variant := range variants {
			session, err := b.Register(t.Context(), NewUser{Email: variant, Password: rightPassword}, Device{})
			require.Equal(t, ErrEmailTaken, err, variant)
			require.Nil(t, session)
		}
		require.Equal(t, 1, b.count(t, "users"))
	})
	t.Run("ParallelVariantsMakeOneAccount", func(t *testing.T) {
		t.Parallel()
		var hooks atomicCounter
		b := setup(t, func(o *Options) { o.Passwords.Queue = 100 })
		b.UserCreated = hooks.count
		errs := make([]error, 100)
		together(len(errs), func(i int) {
			_, errs[i] = b.Register(t.Context(), NewUser{Email: variants[i%len(variants)], Password: rightPassword}, Device{})
		})
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
				continue
			}
			require.Equal(t, ErrEmailTaken, err)
		}
		require.Equal(t, 1, made)
		require.Equal(t, 1, b.count(t, "users"))
		require.Equal(t, 1, b.count(t, "sessions"))
		require.EqualValues(t, 1, hooks.Load())
	})
	t.Run("RefusalsStoreNothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for pointer, n := range map[string]NewUser{
			"/email":    {Email: "ada", Password: rightPassword},
			"/password": {Email: ada, Password: "1234567"},
		} {
			_, err := b.Register(t.Context(), n, Device{})
			refusal := apperr.From(err)
			require.Equal(t, apperr.Invalid, refusal.Kind)
			require.Len(t, refusal.Fields, 1)
			require.Equal(t, pointer, refusal.Fields[0].Pointer)
		}
		require.Zero(t, b.count(t, "users"))
	})
}

// What other packages keep of every user is made in the user's transaction.
func TestIdentity_UserCreated(t *testing.T) {
	t.Parallel()

	t.Run("RunsInTheTransaction", func(t *testing.T) {
		t.Parallel()
		var inside, outside int
		var told uuid.UUID
		b := setup(t)
		b.UserCreated = func(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
			told = id
			const count = "SELECT count(*) FROM users"
			return errors.Join(tx.QueryRow(ctx, count).Scan(&inside), b.db.Pool.QueryRow(ctx, count).Scan(&outside))
		}
		require.Equal(t, b.register(t, ada).User.ID, told)
		require.Equal(t, 1, inside)
		require.Zero(t, outside, "committed before the hook ran")
	})
	for name, use := range map[string]func(*bundle, context.Context) error{
		"FailureUndoesRegister": func(b *bundle, ctx context.Context) error {
			_, err := b.Register(ctx, NewUser{Email: ada, Password: rightPassword}, Device{})
			return err
		},
		"FailureUndoesCreateUser": func(b *bundle, ctx context.Context) error {
			_, err := b.CreateUser(ctx, NewUser{Email: ada, Password: rightPassword, Role: RoleUser})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := errors.New("the hook broke")
			b := setup(t)
			b.UserCreated = func(context.Context, pgx.Tx, uuid.UUID) error { return broken }
			err := use(b, t.Context())
			require.ErrorIs(t, err, broken)
			require.Equal(t, apperr.Internal, apperr.From(err).Kind)
			require.Zero(t, b.count(t, "users"))
			require.Zero(t, b.count(t, "sessions"))
		})
	}
}
