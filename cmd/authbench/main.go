// Command authbench measures Auth Service: it loads a service over HTTP and
// says how fast it answers beside a floor, which is the least that the same
// work costs on the same machine in the same run. authbench help lists what it
// can measure.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
