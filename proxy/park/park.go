// Package park lets connections wait for bytes without a goroutine, whose stack is most of what a connection costs while nothing
// happens on it. A Lot watches all that wait in it with one epoll(7) descriptor of its own, which hangs in the runtime's poller like
// any other, and gives each of them a new goroutine when there is something to read, or an end. Only Linux has that; elsewhere nothing
// is ever parked.
package park

// Entry is what waits in a Lot: one of the fields of whatever it stands for. It must not be copied.
type Entry struct {
	// Wake is called in a goroutine of its own when something has become of one of the sockets: there are bytes or an end to be read.
	// It may be called for nothing.
	Wake func()

	fds      [2]int32 // the sockets; of one, twice the same
	isParked bool     // guarded by the Lot's mu
}
