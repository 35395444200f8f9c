package creditledger

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// What is found under a key is an operation's own where it is the same records.
func TestOutcome_Is(t *testing.T) {
	t.Parallel()
	made := func() *Transaction { return &Transaction{ID: uuid.New()} }
	a, b := made(), made()
	placed, other := &HoldEvent{Hash: [32]byte{1}}, &HoldEvent{Hash: [32]byte{2}}
	refused := outcome{refused: &Refused{Status: 402}}
	parts := func(all ...*Transaction) outcome {
		return outcome{parts: []part{{status: 402}, {made: all}}}
	}
	for name, test := range map[string]struct {
		own, stored outcome
		same        bool
	}{
		"Transaction":      {outcome{transaction: a}, outcome{transaction: a}, true},
		"OtherTransaction": {outcome{transaction: a}, outcome{transaction: b}, false},
		"Event":            {outcome{event: placed}, outcome{event: placed}, true},
		"OtherEvent":       {outcome{event: placed}, outcome{event: other}, false},
		"Parts":            {parts(a, b), parts(a, b), true},
		"OtherParts":       {parts(a, b), parts(a, made()), false},
		"FewerParts":       {parts(a, b), parts(a), false},
		"OnlyRefusedParts": {parts(), parts(), false},
		"Refusal":          {refused, refused, false},
		"Nothing":          {outcome{}, outcome{transaction: a}, false},
		"AnotherKind":      {outcome{event: placed}, outcome{transaction: a}, false},
	} {
		require.Equal(t, test.same, test.own.is(test.stored), name)
	}
}
