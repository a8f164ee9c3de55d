//go:build !linux

package alarm

import "time"

// began is where the queue's times would begin.
var began = time.Now()

// theClock returns nil: the runtime's pollers of other systems wait by finer clocks.
func theClock() *clock { return nil }
