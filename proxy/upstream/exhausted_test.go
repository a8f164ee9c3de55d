package upstream

import (
	"context"
	"os"
	"syscall"
	"testing"
)

// TestOwnShortageBlamesNoEndpoint: what this host has run out of says nothing of the Endpoint, which would be passed over for longer
// than the shortage lasts.
func TestOwnShortageBlamesNoEndpoint(t *testing.T) {
	for no, want := range map[syscall.Errno]struct {
		status int
		isDown bool
	}{
		syscall.EMFILE: {503, false}, syscall.ENFILE: {503, false}, syscall.ENOBUFS: {503, false}, syscall.ENOMEM: {503, false},
		syscall.EADDRNOTAVAIL: {503, false}, syscall.ECONNREFUSED: {502, true}, syscall.EHOSTUNREACH: {502, true}, syscall.ETIMEDOUT: {504, true},
	} {
		r := registry(t, Config{})
		r.dialer.plain.Control = func(string, string, syscall.RawConn) error { return os.NewSyscallError("socket", no) }
		e := r.Acquire(web, at)
		_, err := e.DialNet(context.Background(), "tcp")
		if err == nil || err.Status != want.status || !err.Retry {
			t.Errorf("%v: %+v, want status %d and another attempt", no, err, want.status)
		}
		if e.Down() != want.isDown {
			t.Errorf("%v: down %v, want %v", no, e.Down(), want.isDown)
		}
	}
}
