package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// printTable shows results to people.
func printTable(w io.Writer, results []*result, facts []fact) {
	if len(results) > 0 {
		printRates(w, results)
	}
	for _, f := range facts {
		fmt.Fprintf(w, "\n%s:%s\n", f.Name, f.Goal.in(f.Unit))
	}
}

func printRates(w io.Writer, results []*result) {
	rows := [][]string{
		{"", "rate", "p50", "p95", "p99", "max", "service", "database", "client", "floor", "of floor", "by CPU", "others"},
		{"", "1/s", "ms", "ms", "ms", "ms", "µs", "µs", "µs", "1/s", "", "", "%"},
	}
	for _, r := range results {
		floorRate, ratio, byCPU := "", "", ""
		if f := r.Floor; f != nil {
			floorRate, ratio = rate(f.Rate), fmt.Sprintf("%.2f", r.Rate/f.Rate)
			if f.CPU.total() > 0 && r.CPU.server() > 0 {
				byCPU = fmt.Sprintf("%.2f", f.CPU.total()/r.CPU.total())
			}
		}
		l := r.Latency
		rows = append(rows, []string{
			r.Scenario + ": " + r.Name, rate(r.Rate), fmt.Sprintf("%.1f", l.P50), fmt.Sprintf("%.1f", l.P95), fmt.Sprintf("%.1f", l.P99), fmt.Sprintf("%.0f", l.Max),
			micros(r.CPU.Service), micros(r.CPU.Database), micros(r.CPU.Client), floorRate, ratio, byCPU, percent(r.Others),
		})
	}
	fmt.Fprintln(w)
	printColumns(w, rows)
	fmt.Fprint(w, legend)
	for _, r := range results {
		var notes []string
		if r.Floor != nil {
			notes = append(notes, fmt.Sprintf("floor: %s; CPU each: %s", r.Floor.What, r.Floor.CPU))
		}
		if r.Bare != nil {
			notes = append(notes, fmt.Sprintf("bare: %s; %s/s, CPU each: %s; rate / bare %.2f", r.Bare.What, rate(r.Bare.Rate), r.Bare.CPU, r.Rate/r.Bare.Rate))
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
}

const legend = `
service, database, client: processor time per request. of floor: rate / rate of the floor. by CPU: what the floor
costs / what a request costs, client included; on a machine with other work to do that says more, because programs
of many processes, as the floor's, get more of it. others: processor time that went to programs with no part in it.
`

// printColumns puts words to the left, numbers to the right.
func printColumns(w io.Writer, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		line := fmt.Sprintf("%-*s", widths[0], row[0])
		for i, cell := range row[1:] {
			line += fmt.Sprintf("  %*s", widths[i+1], cell)
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

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
