package telemetry

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unacknowledged is how many bytes the other side's kernel has not acknowledged
// of what was written to a TCP connection; half closing it counts as one.
func unacknowledged(conn net.Conn) (left int) {
	control(conn, func(fd int) { left, _ = unix.IoctlGetInt(fd, unix.SIOCOUTQ) })
	return left
}

// closedByPeer reports whether the other side has closed a TCP connection, or has
// reset it.
func closedByPeer(conn net.Conn) (closed bool) {
	const closeState, closeWait = 7, 8 // of enum tcp_state
	control(conn, func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		closed = err == nil && (info.State == closeState || info.State == closeWait)
	})
	return closed
}

func control(conn net.Conn, f func(fd int)) {
	if tcp, ok := conn.(syscall.Conn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { f(int(fd)) })
		}
	}
}
