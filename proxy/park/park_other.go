//go:build !linux

package park

import "syscall"

// Possible says whether anything is ever parked. Only Linux has epoll; elsewhere everything keeps its goroutine while it waits.
const Possible = false

// Lot is where Entries wait: on this system none ever does.
type Lot struct{}

// Park reports false: it cannot be done.
func (*Lot) Park(*Entry, ...syscall.RawConn) bool { return false }

// Take reports false: nothing is there.
func (*Lot) Take(*Entry) bool { return false }

// Count returns 0.
func (*Lot) Count() int { return 0 }

// Close does nothing.
func (*Lot) Close() {}
