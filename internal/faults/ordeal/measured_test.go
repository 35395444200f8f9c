package ordeal

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMeasure_Leaks(t *testing.T) {
	t.Parallel()
	before := measure{goroutines: 60, connections: 30, heap: 20 << 20, resident: 70 << 20}
	require.Empty(t, before.leaks(before))
	require.Empty(t, measure{}.leaks(before))
	for what, m := range map[string]measure{
		"goroutines":      {goroutines: 160},
		"connections":     {connections: 90},
		"bytes of heap":   {heap: 200 << 20},
		"bytes of memory": {resident: 300 << 20},
	} {
		leaks := m.leaks(before)
		require.Len(t, leaks, 1)
		require.Contains(t, leaks[0], what)
	}
}
