package main

import "time"

// now is the clock by which the service decides. The build of the fault tests has
// another one, which can be stepped (clock_faults.go).
var now = time.Now
