package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// printTable shows results to people.
func printTable(w io.Writer, results []*result, facts []fact) error {
	if len(results) > 0 {
		if err := printRates(w, results); err != nil {
			return err
		}
	}
	for _, f := range facts {
		fmt.Fprintf(w, "\n%s:%s\n", f.Name, f.Goal.in(f.Unit))
	}
	return nil
}

func printRates(w io.Writer, results []*result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\n\trate\tp50\tp95\tp99\tmax\tCPU per request, µs\t\t\tfloor\tof floor\tby CPU\tothers\t")
	fmt.Fprintln(t, "\t1/s\tms\tms\tms\tms\tservice\tdatabase\tclient\t1/s\t\t\t%\t")
	for _, r := range results {
		floorRate, ratio, byCPU := "", "", ""
		if f := r.Floor; f != nil {
			floorRate, ratio = rate(f.Rate), fmt.Sprintf("%.2f", r.Rate/f.Rate)
			if f.CPU.total() > 0 && r.CPU.server() > 0 {
				byCPU = fmt.Sprintf("%.2f", f.CPU.total()/r.CPU.total())
			}
		}
		l := r.Latency
		fmt.Fprintf(t, "%s: %s\t%s\t%.1f\t%.1f\t%.1f\t%.0f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.Scenario, r.Name,
			rate(r.Rate), l.P50, l.P95, l.P99, l.Max, micros(r.CPU.Service), micros(r.CPU.Database), micros(r.CPU.Client),
			floorRate, ratio, byCPU, percent(r.Others))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprint(w, legend)
	for _, r := range results {
		var notes []string
		if r.Floor != nil {
			notes = append(notes, fmt.Sprintf("floor: %s; CPU each: %s", r.Floor.What, r.Floor.CPU))
		}
		for _, g := range r.Goals {
			notes = append(notes, g.String())
		}
		for _, what := range slices.Sorted(maps.Keys(r.Failures)) {
			notes = append(notes, fmt.Sprintf("%d × %s", r.Failures[what], what))
		}
		if len(notes) > 0 {
			fmt.Fprintf(w, "\n%s: %s\n  %s\n", r.Scenario, r.Name, strings.Join(notes, "\n  "))
		}
	}
	return nil
}

const legend = `
of floor: rate / rate of the floor. by CPU: what the floor costs / what a request costs, client included, which is
what the ratio would come to were nothing waited for. others: processor time of programs that had no part in it.
`

// String writes what is known.
func (c cpu) String() string {
	var parts []string
	for _, part := range []struct {
		who  string
		cost *float64
	}{{"service", c.Service}, {"database", c.Database}, {"client", c.Client}} {
		if part.cost != nil {
			parts = append(parts, part.who+" "+micros(part.cost)+" µs")
		}
	}
	return strings.Join(parts, ", ")
}

func rate(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func micros(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.0f", *v)
}

func percent(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.0f", 100**v)
}

// number writes 10000 as 10,000.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(n int, what string) string {
	if n == 1 {
		return "one " + what
	}
	return number(n) + " " + what + "s"
}
