//go:build unix

package pgdb

import "syscall"

// readable reports whether a read would not wait: there is data, or the end. It
// does not read, for that would wait for a read of pgconn's that may be under way
// in the background.
func readable(raw syscall.RawConn) (is bool) {
	err := raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		is = err != syscall.EAGAIN && err != syscall.EINTR
	})
	return is || err != nil
}
