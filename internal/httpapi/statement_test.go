package httpapi

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStatement_Decimal(t *testing.T) {
	t.Parallel()
	const largest = 9_007_199_254_740_991
	for _, test := range []struct {
		amount int64
		scale  int
		want   string
	}{
		{10050, 2, "100.50"}, {-10050, 2, "-100.50"}, {5, 2, "0.05"}, {-5, 2, "-0.05"}, {50, 2, "0.50"}, {100, 2, "1.00"}, {0, 2, "0.00"},
		{0, 0, "0"}, {-7, 0, "-7"}, {10050, 0, "10050"}, {1, 9, "0.000000001"}, {-1, 9, "-0.000000001"},
		{largest, 2, "90071992547409.91"}, {-largest, 9, "-9007199.254740991"},
	} {
		require.Equal(t, test.want, decimal(test.amount, test.scale))
	}
}
