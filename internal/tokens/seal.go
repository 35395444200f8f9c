package tokens

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Sealer encrypts what is stored: AES-256-GCM with a random nonce, which it
// puts in front of the ciphertext. What is sealed is bound to a name, so that a
// ciphertext cannot be moved to another row.
type Sealer struct{ aead cipher.AEAD }

// NewSealer returns a Sealer under a key derived from the service's encryption key.
func NewSealer(encryptionKey []byte) (*Sealer, error) {
	block, err := aes.NewCipher(DeriveKey(encryptionKey, "sealing"))
	if err != nil {
		return nil, fmt.Errorf("making the cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("making the cipher: %w", err)
	}
	return &Sealer{aead: aead}, nil
}

// Seal encrypts plaintext under a name.
func (s *Sealer) Seal(plaintext []byte, name string) []byte {
	return s.aead.Seal(nil, nil, plaintext, []byte(name))
}

// ErrWrongKey is what a wrong AUTH_ENCRYPTION_KEY looks like from here.
var ErrWrongKey = errors.New("stored under another encryption key, or damaged")

// Open decrypts what was sealed under the same name. Errors: ErrWrongKey.
func (s *Sealer) Open(ciphertext []byte, name string) ([]byte, error) {
	plaintext, err := s.aead.Open(nil, nil, ciphertext, []byte(name))
	if err != nil {
		return nil, ErrWrongKey
	}
	return plaintext, nil
}

// DeriveKey derives a key of 32 bytes for one purpose from the service's
// encryption key (HKDF, RFC 5869), so that no key serves two purposes.
func DeriveKey(encryptionKey []byte, purpose string) []byte {
	key, err := hkdf.Key(sha256.New, encryptionKey, nil, "authservice v1 "+purpose, 32)
	if err != nil {
		panic(err) // only for lengths that are not used here
	}
	return key
}

// NewSecret returns 256 random bits.
func NewSecret() []byte {
	b := make([]byte, 32)
	rand.Read(b)
	return b
}
