//go:build !linux

package bcryptworker

// pause does nothing: Go knows no way to ask other systems.
func pause() {}
