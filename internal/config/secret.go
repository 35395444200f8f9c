package config

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

var errUnreadable = errors.New("the file that it names cannot be read")

// Secret is a setting that prints as "[secret]" wherever it is printed. A value
// that begins with "file:" is read from that file, as container platforms mount
// secrets.
//
// The value is behind a pointer, because fmt looks into unexported fields
// without asking their types how to print them.
type Secret struct{ value *string }

// NewSecret wraps a value.
func NewSecret(value string) Secret { return Secret{&value} }

// Reveal returns the secret itself.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsSet reports whether there is a value.
func (s Secret) IsSet() bool { return s.Reveal() != "" }

// Equal compares the values, in constant time.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

const hidden = "[secret]"

// String hides the value.
func (s Secret) String() string { return hidden }

// Format hides the value from every verb of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText hides the value from encoders and loggers.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Decode implements envconfig.Decoder.
func (s *Secret) Decode(value string) error {
	path, isFile := strings.CutPrefix(value, "file:")
	if !isFile {
		*s = NewSecret(value)
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return errUnreadable
	}
	*s = NewSecret(strings.TrimRight(string(content), "\r\n"))
	return nil
}
