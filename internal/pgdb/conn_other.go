//go:build !unix

package pgdb

import "syscall"

// readable cannot be told here.
func readable(syscall.RawConn) bool { return false }
