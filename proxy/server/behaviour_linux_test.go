package server

import (
	"context"
	"syscall"
	"testing"
	"time"
)

// shrinkBacklog makes a listener hold only one connection that nobody accepts.
func shrinkBacklog(raw syscall.RawConn) (err error) {
	cerr := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) })
	if cerr != nil {
		return cerr
	}
	return err
}

// expired is a context whose time is up.
func expired(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
}
