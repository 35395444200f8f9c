package main

import (
	"os"
	"testing"

	"github.com/authservice/authservice/internal/pgtest"
)

// asProgram makes the test binary behave as the program, for tests that need a
// process of its own to kill.
const asProgram = "AUTHSERVICE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		_ = os.Unsetenv(asProgram)
		main()
	}
	if len(os.Args) == 2 && os.Args[1] == bcryptWorkerName {
		main() // Started by the program, which passes no environment on.
	}
	pgtest.Main(m, everyOperationTested)
}
