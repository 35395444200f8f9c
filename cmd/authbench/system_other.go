//go:build !linux

package main

import (
	"errors"
	"syscall"
	"time"
)

// Elsewhere there is no /proc: nothing is known of other processes' time.

func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
func programTime(int) time.Duration   { return 0 }
func familyTime(int) time.Duration    { return 0 }
func machineTime() time.Duration      { return 0 }
func parentOf(int, string) int        { return 0 }
func programOf(int) (string, error)   { return "", errors.ErrUnsupported }
func peakMemory(int) int64            { return 0 }
