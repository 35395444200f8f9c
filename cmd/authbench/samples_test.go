package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSamples_Add(t *testing.T) {
	t.Parallel()
	total := newSamples()
	for _, us := range []int64{1000, 2000, 3000, 4000} {
		s := newSamples()
		s.seconds, s.done = 2, 1
		s.statuses[500], s.broken["EOF"] = 1, 2
		require.NoError(t, s.latency.RecordValue(us))
		total.add(s)
	}
	require.InEpsilon(t, 0.5, total.rate(), 1e-9)
	require.EqualValues(t, 12, total.failed())
	// Three digits are exact.
	require.InEpsilon(t, 2*time.Millisecond, total.quantile(0.5), 0.001)
	require.InEpsilon(t, 4*time.Millisecond, total.quantile(0.99), 0.001)
}
