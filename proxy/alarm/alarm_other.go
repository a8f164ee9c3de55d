//go:build !linux

package alarm

import "time"

// Set does nothing: the runtime's pollers of other systems wait by finer clocks.
func Set(time.Time) {}
