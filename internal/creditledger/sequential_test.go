package creditledger_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/apperr"
	"github.com/authservice/authservice/internal/creditledger"
)

// sequential is what two accounts are when one thing is done after another: the
// models of both, what their things are called, and what was answered.
type sequential struct {
	accounts [2]*model
	lots     [2][]uuid.UUID     // what the lots of the models are called, in their order
	called   map[uuid.UUID]spot // transactions and holds
	answered map[string]output  // by key
	moving   [2]bool            // which accounts the step under way has begun with
}

// spot is where something is: the number of a hold or a transaction in the model of its account.
type spot struct{ on, index int }

// sequentially is what porcupine tries to do.
func sequentially() porcupine.Model {
	return porcupine.Model{
		Init: func() any {
			return sequential{accounts: [2]*model{{last: -time.Hour}, {last: -time.Hour}}, called: map[uuid.UUID]spot{}, answered: map[string]output{}}
		},
		Step: func(state, in, out any) (bool, any) {
			after := state.(sequential)
			want := after.do(in.(input), out.(output))
			return out == want, after
		},
		Equal: reflect.DeepEqual,
	}
}

// do does in, and returns what the answer must be; of the one that was given,
// out, it only takes what things are called. What s shares with other states is
// left alone.
func (s *sequential) do(in input, out output) output {
	if first, known := s.answered[in.request.Key]; known {
		if first.replayed = true; first.refusal != "" {
			first.told = ""
		}
		return first
	}
	s.accounts = [2]*model{s.accounts[0].clone(), s.accounts[1].clone()}
	s.called, s.answered, s.moving = maps.Clone(s.called), maps.Clone(s.answered), [2]bool{}
	told, err := kinds[in.what].expect(s, in, out)
	want := output{told: told, id: out.id, lots: out.lots}
	if err != nil {
		want = output{told: refusedAs(err), refusal: out.refusal}
	} else {
		for on, moving := range s.moving {
			if moving {
				s.accounts[on].end()
			}
		}
	}
	if s.moving = [2]bool{}; in.what != "balance" && !errors.Is(err, creditledger.ErrExpiryInThePast) {
		s.answered[in.request.Key] = want
	}
	return want
}

// begin begins an operation on an account.
func (s *sequential) begin(on int) *model {
	s.moving[on] = true
	s.accounts[on].begin(0)
	return s.accounts[on]
}

// call remembers what something is called that an operation made.
func (s *sequential) call(id uuid.UUID, on, index int) { s.called[id] = spot{on, index} }

// callLots does so of grants; ids is one after another.
func (s *sequential) callLots(ids string, on int) {
	s.lots[on] = slices.Clip(s.lots[on]) // which other states share
	for id := range slices.Chunk([]byte(ids), len(uuid.Nil.String())) {
		s.lots[on] = append(s.lots[on], uuid.MustParse(string(id)))
	}
}

// withHold changes a hold.
func (s *sequential) withHold(in input, change func(m *model, h *modelHold, on int) error) (told string, err error) {
	at, known := s.called[in.id]
	if !known {
		return "", creditledger.ErrHoldNotFound
	}
	m := s.begin(at.on)
	h := m.holds[at.index]
	if err := change(m, h, at.on); err != nil {
		return "", err
	}
	return toldHold(h.amount, h.captured, h.status), nil
}

func (s *sequential) toldBurned(on int, shares []modelShare) string {
	burned := make([]creditledger.Burn, len(shares))
	for i, share := range shares {
		burned[i] = creditledger.Burn{GrantID: s.lots[on][slices.Index(s.accounts[on].lots, share.lot)], Amount: share.amount}
	}
	return toldBurned(burned)
}

// toldLast tells of the newest transaction.
func (m *model) toldLast() string {
	x := m.made[len(m.made)-1]
	return toldOf(creditledger.Transaction{Type: x.typ, Sequence: int64(len(m.made)), Amount: x.amount, BalanceAfter: m.balance()})
}

// short gives a refusal for want of credits its figures.
func (m *model) short(err error, required int64) error { return shortOf(err, required, m.available()) }

func shortOf(err error, required, available int64) error {
	if !errors.Is(err, creditledger.ErrInsufficientCredits) {
		return err
	}
	refusal := *creditledger.ErrInsufficientCredits
	refusal.Shortfall = &apperr.Shortfall{Required: required, Available: available}
	return &refusal
}

func (t *modelTransaction) leftToUndo() (sum int64) {
	for _, share := range t.left {
		sum += share.amount
	}
	return sum
}

// clone is a copy that shares nothing with m.
func (m *model) clone() *model {
	c := &model{last: m.last, at: m.at}
	copies := make(map[*modelLot]*modelLot, len(m.lots))
	for _, l := range m.lots {
		copied := *l
		copies[l] = &copied
		c.lots = append(c.lots, &copied)
	}
	shares := func(all []modelShare) []modelShare {
		all = slices.Clone(all)
		for i := range all {
			all[i].lot = copies[all[i].lot]
		}
		return all
	}
	for _, h := range m.holds {
		copied := *h
		copied.pins = shares(h.pins)
		c.holds = append(c.holds, &copied)
	}
	for _, x := range m.made {
		c.made = append(c.made, &modelTransaction{x.typ, x.amount, shares(x.left)})
	}
	return c
}

// The check can fail: an answer that nobody could have had is found out.
func TestSequential_KnowsAWrongAnswer(t *testing.T) {
	t.Parallel()
	key := func(k string) creditledger.Request { return creditledger.Request{Key: k} }
	grant, debit, balance := input{what: "grant", amount: 10, request: key("1")}, input{what: "debit", amount: 10, request: key("2")}, input{what: "balance"}
	lot := uuid.NewString()
	granted := func(sequence, after int64) output {
		return output{
			told: toldOf(creditledger.Transaction{Type: creditledger.TypeGrant, Sequence: sequence, Amount: 10, BalanceAfter: after}),
			id:   uuid.Max, lots: lot,
		}
	}
	debited := output{
		told: toldOf(creditledger.Transaction{Type: creditledger.TypeDebit, Sequence: 2, Amount: -10}) + ", 10 of " + lot,
		id:   uuid.Nil,
	}
	short := output{told: refusedAs(shortOf(creditledger.ErrInsufficientCredits, 10, 0)), refusal: "{}"}
	again := func(out output) output { out.replayed = true; return out }
	empty := output{told: "0 0 0 <nil>"}
	done := func(in input, out output, call, end int64) porcupine.Operation {
		return porcupine.Operation{Input: in, Output: out, Call: call, Return: end}
	}
	for name, c := range map[string]struct {
		ok      bool
		history []porcupine.Operation
	}{
		"InOrder":                {true, []porcupine.Operation{done(grant, granted(1, 10), 1, 2), done(debit, debited, 3, 4)}},
		"AtOnce":                 {true, []porcupine.Operation{done(debit, debited, 1, 4), done(grant, granted(1, 10), 2, 3)}},
		"RefusedBefore":          {true, []porcupine.Operation{done(debit, short, 1, 4), done(grant, granted(1, 10), 2, 3)}},
		"SpentBeforeItWasThere":  {false, []porcupine.Operation{done(debit, debited, 1, 2), done(grant, granted(1, 10), 3, 4)}},
		"RefusedAlthoughThere":   {false, []porcupine.Operation{done(grant, granted(1, 10), 1, 2), done(debit, short, 3, 4)}},
		"SentAgain":              {true, []porcupine.Operation{done(grant, granted(1, 10), 1, 4), done(grant, again(granted(1, 10)), 2, 3)}},
		"DoneTwice":              {false, []porcupine.Operation{done(grant, granted(1, 10), 1, 2), done(grant, granted(2, 20), 3, 4)}},
		"ReplayedOnly":           {false, []porcupine.Operation{done(grant, again(granted(1, 10)), 1, 2)}},
		"BalanceOfThePast":       {false, []porcupine.Operation{done(grant, granted(1, 10), 1, 2), done(balance, empty, 3, 4)}},
		"BalanceOfThePastAtOnce": {true, []porcupine.Operation{done(grant, granted(1, 10), 1, 3), done(balance, empty, 2, 4)}},
	} {
		require.Equal(t, c.ok, porcupine.CheckOperations(sequentially(), c.history), name)
	}
}
