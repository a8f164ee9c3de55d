// Package nonblock reads and writes non-blocking descriptors, from inside the callbacks of syscall.RawConn. On Linux it does not
// tell the scheduler: such a call cannot block, and telling it costs as much as the read of a short message.
//
// Its functions may be called concurrently.
package nonblock
