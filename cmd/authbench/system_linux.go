package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticksPerSecond is the unit of /proc; it is 100 on every Linux that Go runs on.
const ticksPerSecond = 100

func ticks(n uint64) time.Duration {
	return time.Duration(n) * (time.Second / ticksPerSecond) //nolint:gosec // not for centuries
}

// dieWithUs makes the kernel stop a child when we are killed.
func dieWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
}

// programTime is the processor time that a process has used, together with its
// children of the same program; 0 when there is no such process.
func programTime(pid int) (total time.Duration) {
	for _, p := range append(sameProgram(pid), pid) {
		if f := statFields(p); f != nil {
			total += ticks(f[11] + f[12])
		}
	}
	return total
}

// sameProgram is the children of a process that run the same program.
func sameProgram(pid int) (same []int) {
	program, err := programOf(pid)
	if err != nil {
		return nil
	}
	for _, child := range childrenOf(pid) {
		if its, err := programOf(child); err == nil && its == program {
			same = append(same, child)
		}
	}
	return same
}

func childrenOf(pid int) (children []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if f := statFields(child); len(f) > 0 && int(f[1]) == pid { //nolint:gosec // a process id
			children = append(children, child)
		}
	}
	return children
}

// familyTime is that of a process, its children, and the children it has outlived.
func familyTime(pid int) time.Duration {
	f := statFields(pid)
	if f == nil {
		return 0
	}
	total := ticks(f[11] + f[12] + f[13] + f[14])
	for _, child := range childrenOf(pid) {
		if f := statFields(child); f != nil {
			total += ticks(f[11] + f[12])
		}
	}
	return total
}

// parentOf returns the parent of a process if that is called name, and 0 otherwise.
func parentOf(pid int, name string) int {
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	f := statFields(pid)
	if err != nil || f == nil || strings.TrimSpace(string(comm)) != name {
		return 0
	}
	return int(f[1]) //nolint:gosec // a process id
}

// programOf is the file that a process runs, if we may know.
func programOf(pid int) (string, error) { return os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)) }

// statFields are those of /proc/<pid>/stat from the third on (proc(5)), of which
// the first is no number; nil when there is no such process.
func statFields(pid int) []uint64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	// The second field, the name, may hold anything but is in brackets.
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')'):]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return nil
	}
	numbers := make([]uint64, 15)
	for i := range numbers {
		numbers[i], _ = strconv.ParseUint(fields[i], 10, 64)
	}
	return numbers
}

// machineTime is the processor time that the whole machine has used.
func machineTime() time.Duration {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	var used uint64
	for i, f := range fields {
		// user nice system idle iowait irq softirq steal; guests are in user.
		if i >= 1 && i <= 8 && i != 4 && i != 5 {
			n, _ := strconv.ParseUint(f, 10, 64)
			used += n
		}
	}
	return ticks(used)
}

// peakMemory is the most memory that a process had, in bytes, with what its
// children of the same program have for themselves now.
func peakMemory(pid int) int64 {
	total := memory(pid, "VmHWM:")
	for _, child := range sameProgram(pid) {
		total += memory(child, "RssAnon:")
	}
	return total
}

// memory reads a field of /proc/<pid>/status, in bytes.
func memory(pid int, field string) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, field); found {
			kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kilobytes * 1024
		}
	}
	return 0
}
