package main

import (
	"runtime"
	"syscall"
	"time"
)

// usage is processor time.
type usage struct {
	service, database, client, machine time.Duration
	wall                               time.Duration
}

// meter reads how much of it the processes of a measurement have used.
type meter struct {
	service    int // process ids; 0 for unknown
	postmaster int
}

func (m meter) read() usage {
	var self syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &self)
	u := usage{
		client:  time.Duration(self.Utime.Nano() + self.Stime.Nano()),
		machine: machineTime(), wall: time.Duration(time.Now().UnixNano()),
	}
	if m.service != 0 {
		u.service = programTime(m.service)
	}
	if m.postmaster != 0 {
		u.database = familyTime(m.postmaster)
	}
	return u
}

func (u usage) since(begin usage) usage {
	return usage{
		service: u.service - begin.service, database: u.database - begin.database, client: u.client - begin.client,
		machine: u.machine - begin.machine, wall: u.wall - begin.wall,
	}
}

func (u usage) plus(o usage) usage {
	return usage{
		service: u.service + o.service, database: u.database + o.database, client: u.client + o.client,
		machine: u.machine + o.machine, wall: u.wall + o.wall,
	}
}

// others is the share of the machine's processors that went to programs which
// have no part in the measurement; nil where it is not known.
func (u usage) others() *float64 {
	if u.machine == 0 || u.service == 0 || u.database == 0 {
		return nil
	}
	share := max(0, float64(u.machine-u.service-u.database-u.client)/(float64(u.wall)*float64(runtime.NumCPU())))
	return &share
}
