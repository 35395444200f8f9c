package identity

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/tokens"
)

// atomicCounter is a UserCreated that counts.
type atomicCounter struct{ atomic.Int64 }

func (c *atomicCounter) count(context.Context, pgx.Tx, uuid.UUID) error {
	c.Add(1)
	return nil
}

func TestIdentity_CreateUser(t *testing.T) {
	t.Parallel()

	t.Run("IsNotLoggedIn", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		user, err := b.CreateUser(t.Context(), NewUser{Email: "ADA@example.com", Password: rightPassword, Name: "Ada", Role: RoleAdmin})
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(User{
			ID: user.ID, Email: ada, Name: "Ada", Role: RoleAdmin, Status: "active", Metadata: json.RawMessage("{}"),
			CreatedAt: startStored, UpdatedAt: startStored,
		}, user))
		require.Zero(t, b.count(t, "sessions"))
	})
	t.Run("EmailTaken", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.register(t, ada)
		_, err := b.CreateUser(t.Context(), NewUser{Email: "Ada@example.com", Password: rightPassword, Role: RoleAdmin})
		require.Equal(t, ErrEmailTaken, err)
	})
}

func TestIdentity_FindUser(t *testing.T) {
	t.Parallel()
	b := setup(t)
	want := b.register(t, ada).User

	got, found, err := b.FindUser(t.Context(), "ADA@Example.com")
	require.NoError(t, err)
	require.True(t, found)
	require.Empty(t, cmp.Diff(want, got))

	_, found, err = b.FindUser(t.Context(), "bob@example.com")
	require.NoError(t, err)
	require.False(t, found)

	_, _, err = b.FindUser(t.Context(), "ada")
	require.Equal(t, ErrInvalidEmail, err)
}

func TestIdentity_UpdateMe(t *testing.T) {
	t.Parallel()
	name, metadata := "Ada Lovelace", json.RawMessage(`{"plan":"pro"}`)

	for title, test := range map[string]struct {
		change UserChange
		want   func(*User)
	}{
		"Nothing":  {UserChange{}, func(*User) {}},
		"Name":     {UserChange{Name: &name}, func(u *User) { u.Name = name }},
		"NoName":   {UserChange{Name: new(string)}, func(u *User) { u.Name = "" }},
		"Metadata": {UserChange{Metadata: metadata}, func(u *User) { u.Metadata = metadata }},
		"Both":     {UserChange{Name: &name, Metadata: metadata}, func(u *User) { u.Name, u.Metadata = name, metadata }},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			session, err := b.Register(t.Context(), NewUser{Email: ada, Password: rightPassword, Name: "Ada"}, Device{})
			require.NoError(t, err)
			bob := b.register(t, "bob@example.com").User
			b.clock.advance(time.Hour)

			got, err := b.UpdateMe(t.Context(), session.User.ID, test.change)
			require.NoError(t, err)
			want := session.User
			want.UpdatedAt = startStored.Add(time.Hour)
			test.want(&want)
			require.Empty(t, cmp.Diff(want, got))

			read, err := b.Me(t.Context(), want.ID)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(want, read))

			other, err := b.Me(t.Context(), bob.ID)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(bob, other), "another user was changed")
		})
	}
	t.Run("Gone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.register(t, ada).User.ID
		require.NoError(t, b.DeleteUser(t.Context(), Caller{}, id))
		_, err := b.Me(t.Context(), id)
		require.Equal(t, tokens.ErrInvalid, err)
		_, err = b.UpdateMe(t.Context(), id, UserChange{Name: &name})
		require.Equal(t, tokens.ErrInvalid, err)
	})
}
