//go:build faults

package main

import (
	"encoding/binary"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// steppedClock names a file of 8 bytes: by how many nanoseconds the clock is
// wrong, in the byte order of the machine. Who writes to it steps the clock.
const steppedClock = "AUTHSERVICE_FAULTS_CLOCK"

func init() {
	name := os.Getenv(steppedClock)
	if name == "" {
		return
	}
	file, err := os.Open(name) //nolint:gosec // named by the test that runs us
	if err != nil {
		panic(err)
	}
	defer file.Close()
	shared, err := syscall.Mmap(int(file.Fd()), 0, binary.Size(int64(0)), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	wrong := (*int64)(unsafe.Pointer(unsafe.SliceData(shared))) //nolint:gosec // 8 bytes, on a page of their own
	now = func() time.Time { return time.Now().Add(time.Duration(atomic.LoadInt64(wrong))) }
}
