//go:build !linux

package toxic

// passer does nothing on this system.
type passer struct{}

// pass carries bytes while no toxic acts. It returns false if it can do no better than the engine does.
func (d *direction) pass() bool { return false }
