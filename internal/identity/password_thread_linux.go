package identity

import "golang.org/x/sys/unix"

// niceness leaves a tenth of a CPU that others want as well.
const niceness = 10

// giveWay lowers the priority of the calling thread; see setpriority(2), which
// on Linux speaks of threads. Who already runs at a lower one stays there.
func giveWay() { _ = unix.Setpriority(unix.PRIO_PROCESS, 0, niceness) }
