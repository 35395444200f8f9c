package ledgerproof

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/authservice/authservice/internal/dbgen"
)

// Checkpoint is the state of all accounts at a moment, signed. Its JSON is one
// line, which is meant to be kept where nobody who can write to the database can
// change it.
type Checkpoint struct {
	Number       int64 // 1, 2, 3 …
	CreatedAt    time.Time
	Accounts     int64
	Transactions int64
	HoldEvents   int64
	Root         [32]byte // of the tree over the heads of all accounts
	Previous     [32]byte // the root of the checkpoint before it; zeros in the first
	PublicKey    [ed25519.PublicKeySize]byte
	Signature    [ed25519.SignatureSize]byte // of Statement
}

// Statement is what is signed, one field a line: anybody can write it down again
// from the JSON, and check the signature with the public key alone.
func (c *Checkpoint) Statement() []byte {
	return fmt.Appendf(nil, "authservice ledger checkpoint v1\nnumber %d\ncreated_at %s\naccounts %d\ntransactions %d\nhold_events %d\nroot %x\nprevious %x\n",
		c.Number, moment(c.CreatedAt), c.Accounts, c.Transactions, c.HoldEvents, c.Root, c.Previous)
}

// KeyID names the key that signed: SHA-256 of the public key, in base64url.
func (c *Checkpoint) KeyID() string {
	sum := sha256.Sum256(c.PublicKey[:])
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (c *Checkpoint) sign(key ed25519.PrivateKey) {
	public, _ := key.Public().(ed25519.PublicKey)
	c.PublicKey = [ed25519.PublicKeySize]byte(public)
	c.Signature = [ed25519.SignatureSize]byte(ed25519.Sign(key, c.Statement()))
}

func (c *Checkpoint) signed() bool {
	return ed25519.Verify(c.PublicKey[:], c.Statement(), c.Signature[:])
}

// line is the JSON of a checkpoint.
type line struct {
	Number       int64  `json:"number"`
	CreatedAt    string `json:"created_at"`
	Accounts     int64  `json:"accounts"`
	Transactions int64  `json:"transactions"`
	HoldEvents   int64  `json:"hold_events"`
	Root         string `json:"root"`
	Previous     string `json:"previous"`
	KeyID        string `json:"key_id"`
	PublicKey    string `json:"public_key"`
	Signature    string `json:"signature"`
}

func (c *Checkpoint) line() line {
	return line{
		Number: c.Number, CreatedAt: moment(c.CreatedAt), Accounts: c.Accounts, Transactions: c.Transactions, HoldEvents: c.HoldEvents,
		Root: hex.EncodeToString(c.Root[:]), Previous: hex.EncodeToString(c.Previous[:]),
		KeyID: c.KeyID(), PublicKey: hex.EncodeToString(c.PublicKey[:]), Signature: hex.EncodeToString(c.Signature[:]),
	}
}

// MarshalJSON implements json.Marshaler.
func (c Checkpoint) MarshalJSON() ([]byte, error) { return json.Marshal(c.line()) }

// UnmarshalJSON implements json.Unmarshaler. It takes what MarshalJSON writes,
// and nothing besides.
func (c *Checkpoint) UnmarshalJSON(text []byte) error {
	var l line
	if err := json.Unmarshal(text, &l, json.RejectUnknownMembers(true)); err != nil {
		return errors.New("it is not a checkpoint")
	}
	if l.Number < 1 {
		return errors.New("its number is not 1 or more")
	}
	read := Checkpoint{Number: l.Number, Accounts: l.Accounts, Transactions: l.Transactions, HoldEvents: l.HoldEvents}
	var err error
	if read.CreatedAt, err = time.Parse(momentLayout, l.CreatedAt); err != nil {
		return errors.New("its created_at is not a time such as " + momentLayout)
	}
	for _, f := range []struct {
		name, text string
		into       []byte
	}{
		{"root", l.Root, read.Root[:]}, {"previous", l.Previous, read.Previous[:]},
		{"public_key", l.PublicKey, read.PublicKey[:]}, {"signature", l.Signature, read.Signature[:]},
	} {
		decoded, err := hex.DecodeString(f.text)
		if err != nil || len(decoded) != len(f.into) {
			return fmt.Errorf("its %s is not %d bytes in hexadecimal", f.name, len(f.into))
		}
		copy(f.into, decoded)
	}
	if l.KeyID != read.KeyID() {
		return errors.New("its key_id is not that of its public_key")
	}
	*c = read
	return nil
}

// LogValue implements slog.LogValuer: in a log a checkpoint has the members of
// its JSON, so that ReadCheckpoints finds it there.
func (c Checkpoint) LogValue() slog.Value {
	l := c.line()
	return slog.GroupValue(
		slog.Int64("number", l.Number), slog.String("created_at", l.CreatedAt),
		slog.Int64("accounts", l.Accounts), slog.Int64("transactions", l.Transactions), slog.Int64("hold_events", l.HoldEvents),
		slog.String("root", l.Root), slog.String("previous", l.Previous),
		slog.String("key_id", l.KeyID), slog.String("public_key", l.PublicKey), slog.String("signature", l.Signature),
	)
}

// ReadCheckpoints reads checkpoints that were kept, one JSON object a line: as
// they were printed, or lines of a log that have one as their member
// "checkpoint". Other lines of a log are passed over.
func ReadCheckpoints(r io.Reader) ([]Checkpoint, error) {
	var all []Checkpoint
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		var members map[string]jsontext.Value
		if err := json.Unmarshal(text, &members); err != nil {
			return nil, fmt.Errorf("line %d is not a JSON object", n)
		}
		if logged, ok := members["checkpoint"]; ok {
			text = logged
		} else if members["signature"] == nil {
			continue
		}
		var c Checkpoint
		if err := c.UnmarshalJSON(text); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all = append(all, c)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading checkpoints: %w", err)
	}
	if len(all) == 0 {
		return nil, errors.New("it has no checkpoints")
	}
	return all, nil
}

// maxLine is how long a line of a log may be, in bytes.
const maxLine = 1 << 20

// checkpointFrom reads a row, whose lengths the table checks.
func checkpointFrom(row *dbgen.LedgerCheckpoint) (c Checkpoint, ok bool) {
	if len(row.Root) != 32 || len(row.Previous) != 32 || len(row.PublicKey) != ed25519.PublicKeySize || len(row.Signature) != ed25519.SignatureSize {
		return c, false
	}
	return Checkpoint{
		Number: row.Number, CreatedAt: row.CreatedAt, Accounts: row.Accounts, Transactions: row.Transactions, HoldEvents: row.HoldEvents,
		Root: [32]byte(row.Root), Previous: [32]byte(row.Previous),
		PublicKey: [ed25519.PublicKeySize]byte(row.PublicKey), Signature: [ed25519.SignatureSize]byte(row.Signature),
	}, true
}
