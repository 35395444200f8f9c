package telemetry

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A ring does what a list of lines would, whatever is done to it.
func TestRing_IsAList(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		const size = 200
		r := newRing(size)
		var list []string
		length := func(lines []string) (n int) {
			for _, line := range lines {
				n += len(line)
			}
			return n
		}
		for n := range 300 {
			switch random.IntN(3) {
			case 0, 1:
				line := fmt.Sprint(n, strings.Repeat("x", random.IntN(60)), "\n")
				fits := length(list)+len(line) <= size
				require.Equal(t, fits, r.put([]byte(line)))
				if fits {
					list = append(list, line)
				}
			case 2:
				skip := random.IntN(len(list) + 1)
				most := random.IntN(5)
				buffer := make([]byte, random.IntN(size))
				got, lines := r.peek(buffer, length(list[:skip]), most)
				want := 0
				for want < most && skip+want < len(list) && length(list[skip:skip+want+1]) <= len(buffer) {
					want++
				}
				require.Equal(t, strings.Join(list[skip:skip+want], ""), string(got))
				require.Equal(t, want, lines)
				gone := random.IntN(len(list) + 1)
				r.remove(length(list[:gone]), gone)
				list = list[gone:]
			}
			bytes, lines := r.waiting()
			require.Equal(t, length(list), bytes)
			require.Equal(t, len(list), lines)
		}
	}
}
