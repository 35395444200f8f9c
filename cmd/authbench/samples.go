package main

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// samples is what came of a load.
type samples struct {
	seconds  float64
	done     int64                   // requests answered with 2xx
	latency  *hdrhistogram.Histogram // of those, in microseconds
	statuses map[int]int64           // other answers
	broken   map[string]int64        // connections that failed, by what they failed with
}

const longest = 60 * time.Second

func newSamples() *samples {
	return &samples{
		latency:  hdrhistogram.New(1, longest.Microseconds(), 3),
		statuses: map[int]int64{}, broken: map[string]int64{},
	}
}

// add puts what another connection, or another round, brought to it.
func (s *samples) add(o *samples) {
	s.seconds += o.seconds
	s.done += o.done
	s.latency.Merge(o.latency)
	for status, n := range o.statuses {
		s.statuses[status] += n
	}
	for what, n := range o.broken {
		s.broken[what] += n
	}
}

func (s *samples) failed() (n int64) {
	for _, m := range s.statuses {
		n += m
	}
	for _, m := range s.broken {
		n += m
	}
	return n
}

func (s *samples) rate() float64 { return float64(s.done) / s.seconds }

// quantile is a latency, for example of 0.99 of the requests.
func (s *samples) quantile(q float64) time.Duration {
	return time.Duration(s.latency.ValueAtPercentile(q*100)) * time.Microsecond
}
