package tokens

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSealer(t *testing.T) {
	t.Parallel()
	plaintext := []byte("a private key")
	other := bytes.Repeat([]byte{2}, 32)

	t.Run("OpensWhatItSealed", func(t *testing.T) {
		t.Parallel()
		sealed := newSealer(t, encryptionKey).Seal(plaintext, "kid")
		require.NotContains(t, string(sealed), string(plaintext))
		opened, err := newSealer(t, encryptionKey).Open(sealed, "kid")
		require.NoError(t, err)
		require.Equal(t, plaintext, opened)
	})
	t.Run("NeverTheSameTwice", func(t *testing.T) {
		t.Parallel()
		s := newSealer(t, encryptionKey)
		first := s.Seal(plaintext, "kid")
		require.NotEqual(t, first, s.Seal(plaintext, "kid"))
	})
	t.Run("Refuses", func(t *testing.T) {
		t.Parallel()
		s := newSealer(t, encryptionKey)
		sealed := s.Seal(plaintext, "kid")
		flipped := func(i int) []byte {
			c := bytes.Clone(sealed)
			c[i] ^= 1
			return c
		}
		for name, test := range map[string]struct {
			by     *Sealer
			sealed []byte
			name   string
		}{
			"other key":      {newSealer(t, other), sealed, "kid"},
			"other row":      {s, sealed, "other"},
			"no name":        {s, sealed, ""},
			"nonce":          {s, flipped(0), "kid"},
			"ciphertext":     {s, flipped(12), "kid"},
			"tag":            {s, flipped(len(sealed) - 1), "kid"},
			"cut":            {s, sealed[:len(sealed)-1], "kid"},
			"longer":         {s, append(bytes.Clone(sealed), 0), "kid"},
			"only a nonce":   {s, sealed[:12], "kid"},
			"nothing":        {s, nil, "kid"},
			"never was seal": {s, plaintext, "kid"},
		} {
			opened, err := test.by.Open(test.sealed, test.name)
			require.Equal(t, ErrWrongKey, err, name)
			require.Nil(t, opened, name)
		}
	})
}

func TestDeriveKey(t *testing.T) {
	t.Parallel()
	key := DeriveKey(encryptionKey, "sealing")
	require.Len(t, key, 32)
	require.Equal(t, key, DeriveKey(encryptionKey, "sealing"))
	for name, other := range map[string][]byte{
		"purpose": DeriveKey(encryptionKey, "refresh"),
		"key":     DeriveKey(bytes.Repeat([]byte{2}, 32), "sealing"),
		"itself":  encryptionKey,
	} {
		require.NotEqual(t, key, other, name)
	}
}

func TestNewSecret(t *testing.T) {
	t.Parallel()
	one, two := NewSecret(), NewSecret()
	require.Len(t, one, 32)
	require.NotEqual(t, one, two)
}
