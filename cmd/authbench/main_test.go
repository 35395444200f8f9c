package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/authservice/authservice/internal/pgtest"
)

// TestMain lets the test binary be the bare server, which authbench starts as a
// process of itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == bareName {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	pgtest.Main(m)
}
