package identity

import "runtime"

// aside runs f on a thread of its own that gives way to all others, where the
// system knows priorities of threads. The thread ends with f: without privileges
// no thread can raise its priority again.
func aside(f func() error) (err error) {
	var fault any
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { fault = recover() }()
		runtime.LockOSThread()
		giveWay()
		err = f()
	}()
	<-done
	if fault != nil {
		panic(fault)
	}
	return err
}
