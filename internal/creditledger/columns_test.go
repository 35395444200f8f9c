package creditledger

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authservice/authservice/internal/dbgen"
)

// The problems of a batch are answered again byte for byte, whatever they say.
func TestPartsColumn_RoundTrip(t *testing.T) {
	t.Parallel()
	for _, problem := range []string{
		`{"code":"insufficient_credits","shortfall":3}`,
		`{"detail":"a <b> & 'c' \"d\" \\ \u003c\u2028"}`,
		"{\n\t\"a\": 1,\r\n\"b\" : \"\u2028\u2029é\U0001F600\"}\n",
		"\x00\x01\x7f",
		`<>&`,
	} {
		parts := []part{
			{made: []*Transaction{{UserID: number(1), Sequence: 7}, {UserID: number(2), Sequence: 1 << 52}}},
			{status: 402, problem: []byte(problem)},
			{made: []*Transaction{{UserID: number(1), Sequence: 8}}},
		}
		column := partsColumn(parts)
		require.True(t, json.Valid(column))
		var columns []partColumn
		require.NoError(t, json.Unmarshal(column, &columns))
		require.Equal(t, []partColumn{
			{Records: []recordColumn{{number(1), 7}, {number(2), 1 << 52}}},
			{Status: 402, Problem: problem},
			{Records: []recordColumn{{number(1), 8}}},
		}, columns)
	}
	require.JSONEq(t, `[]`, string(partsColumn(nil)))
}

func TestBurnsColumn_RoundTrip(t *testing.T) {
	t.Parallel()
	for _, burns := range [][]Burn{nil, {{number(1), 5}}, {{number(1), -5}, {number(2), MaxBalance}}} {
		got, err := burnsFrom(burnsColumn(burns))
		require.NoError(t, err)
		require.Equal(t, burns, got)
	}
	require.Equal(t, "[]", string(burnsColumn([]Burn{})))
	_, err := burnsFrom([]byte(`{`))
	require.Error(t, err)
}

func TestOriginal(t *testing.T) {
	t.Parallel()
	row := func(kind TransactionType, burned, returned []Burn) dbgen.CreditTransactionListOriginalsRow {
		r := dbgen.CreditTransactionListOriginalsRow{
			UserID: number(1), ID: number(2), Type: string(kind), Amount: 20, GrantID: ptr(number(3)), Burned: burnsColumn(burned),
		}
		if returned != nil {
			r.Returned = burnsColumn(returned)
		}
		return r
	}
	burned := []Burn{{number(3), 10}, {number(4), 5}, {number(3), 5}} // a capture of a hold that was incremented
	for name, c := range map[string]struct {
		rows []dbgen.CreditTransactionListOriginalsRow
		want []Burn
	}{
		"Untouched":      {[]dbgen.CreditTransactionListOriginalsRow{row(TypeDebit, burned, nil)}, burned},
		"LastFirst":      {[]dbgen.CreditTransactionListOriginalsRow{row(TypeDebit, burned, []Burn{{number(3), -7}})}, []Burn{{number(3), 8}, {number(4), 5}, {number(3), 0}}},
		"Twice":          {[]dbgen.CreditTransactionListOriginalsRow{row(TypeDebit, burned, []Burn{{number(3), -5}, {number(4), -1}}), row(TypeDebit, burned, []Burn{{number(4), -4}, {number(3), -2}})}, []Burn{{number(3), 8}, {number(4), 0}, {number(3), 0}}},
		"InFull":         {[]dbgen.CreditTransactionListOriginalsRow{row(TypeCapture, burned, []Burn{{number(3), -5}, {number(4), -5}, {number(3), -10}})}, []Burn{{number(3), 0}, {number(4), 0}, {number(3), 0}}},
		"Grant":          {[]dbgen.CreditTransactionListOriginalsRow{row(TypeGrant, nil, nil)}, []Burn{{number(3), 20}}},
		"GrantTakenBack": {[]dbgen.CreditTransactionListOriginalsRow{row(TypeGrant, nil, []Burn{{number(3), 8}})}, []Burn{{number(3), 12}}},
	} {
		o, err := originalFrom(c.rows)
		require.NoError(t, err, name)
		require.Equal(t, c.want, o.taken, name)
		var left int64
		for _, b := range c.want {
			left += b.Amount
		}
		require.Equal(t, left, o.left(), name)
	}
	broken := row(TypeDebit, nil, nil)
	broken.Burned = []byte(`{`)
	_, err := originalFrom([]dbgen.CreditTransactionListOriginalsRow{broken})
	require.ErrorContains(t, err, number(2).String())
	broken = row(TypeDebit, nil, nil)
	broken.Returned = []byte(`{`)
	_, err = originalFrom([]dbgen.CreditTransactionListOriginalsRow{broken})
	require.ErrorContains(t, err, number(2).String())
}
