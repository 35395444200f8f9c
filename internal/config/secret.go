package config

import (
	"errors"
	"os"
	"strings"
)

// Secret is a setting that prints as "[secret]" wherever it is printed. A value
// that begins with "file:" is read from that file, as container platforms mount
// secrets.
type Secret struct{ value string }

// NewSecret wraps a value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return s.value }

// IsSet reports whether there is a value.
func (s Secret) IsSet() bool { return s.value != "" }

// String hides the value.
func (s Secret) String() string { return "[secret]" }

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the value from encoders and loggers.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Decode implements envconfig.Decoder.
func (s *Secret) Decode(value string) error {
	path, isFile := strings.CutPrefix(value, "file:")
	if !isFile {
		s.value = value
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return errors.New("the file that it names cannot be read")
	}
	s.value = strings.TrimRight(string(content), "\r\n")
	return nil
}
