package bcryptworker

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"slices"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/blowfish" //nolint:staticcheck // deprecated for other uses; bcrypt is made of it
)

// Of a hash "$2a$12$", then the salt and the digest.
const (
	headLength   = 7
	saltSize     = 16 // bytes, which are 22 characters
	digestStart  = headLength + 22
	digestSize   = 23 // bytes, which are 31 characters
	digestLength = 31
)

// maxPassword is how many bytes are read of a password.
const maxPassword = 72

var encoding = base64.NewEncoding("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789").WithPadding(base64.NoPadding)

// hash is GenerateFromPassword of golang.org/x/crypto/bcrypt, with pauses.
func hash(password []byte, cost int) ([]byte, error) {
	switch {
	case len(password) > maxPassword:
		return nil, bcrypt.ErrPasswordTooLong
	case cost < bcrypt.MinCost || cost > bcrypt.MaxCost:
		return nil, bcrypt.InvalidCostError(cost)
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	made := fmt.Appendf(nil, "$2a$%02d$%s", cost, encoding.EncodeToString(salt))
	digest, err := digest(password, salt, cost)
	return append(made, digest...), err
}

// matches is CompareHashAndPassword of golang.org/x/crypto/bcrypt, with pauses.
func matches(hashed, password []byte) bool {
	cost, err := bcrypt.Cost(hashed)
	if err != nil || len(hashed) != digestStart+digestLength {
		return false
	}
	salt, err := encoding.DecodeString(string(hashed[headLength:digestStart]))
	if err != nil {
		return false
	}
	digest, err := digest(password, salt, cost)
	return err == nil && subtle.ConstantTimeCompare(digest, hashed[digestStart:]) == 1
}

// pauseEvery is a number of rounds, of 50 µs each. Pauses take less than 1 % of the time.
const pauseEvery = 4

// digest is bcrypt (Provos and Mazières, "A Future-Adaptable Password Scheme",
// 1999), on the cipher of golang.org/x/crypto. The bcrypt there works for a fifth
// of a second without a pause, and others, although they come first, wait until the
// kernel looks who is to run, every 4 ms on many systems. Here it is asked to look
// every 200 µs.
func digest(password, salt []byte, cost int) ([]byte, error) {
	key := slices.Concat(password, []byte{0})
	cipher, err := blowfish.NewSaltedCipher(key, salt)
	if err != nil {
		return nil, err
	}
	for round := range 1 << cost {
		blowfish.ExpandKey(key, cipher)
		blowfish.ExpandKey(salt, cipher)
		if round%pauseEvery == 0 {
			pause()
		}
	}
	text := []byte("OrpheanBeholderScryDoubt")
	for block := text; len(block) > 0; block = block[cipher.BlockSize():] {
		for range 64 {
			cipher.Encrypt(block, block)
		}
	}
	return encoding.AppendEncode(nil, text[:digestSize]), nil
}
