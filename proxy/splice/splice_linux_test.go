package splice

import (
	"bytes"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// sockets returns two sockets that are connected and do not block.
func sockets(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
	})
	return fds[0], fds[1]
}

func TestBytesPassInOrder(t *testing.T) {
	client, near := sockets(t)
	far, endpoint := sockets(t)
	p := Get()
	if p == nil {
		t.Fatal("no pipe to be had")
	}
	if p.Size() < least {
		t.Errorf("it holds %d bytes", p.Size())
	}
	if n, err := p.Fill(near, p.Size()); n != 0 || err != syscall.EAGAIN {
		t.Errorf("%d bytes of nothing, %v", n, err)
	}
	want := []byte("hello, world")
	if _, err := unix.Write(client, want); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Fill(near, 5); n != 5 || err != nil {
		t.Fatalf("%d bytes taken, %v", n, err)
	}
	if n, err := p.Fill(near, p.Size()); n != 7 || err != nil {
		t.Fatalf("%d bytes taken, %v", n, err)
	}
	got := make([]byte, 100)
	n, err := p.Read(got[:3]) // what is taken out by hand comes first
	if n != 3 || err != nil {
		t.Fatalf("%d bytes read, %v", n, err)
	}
	if n, err := p.Drain(far, p.Size()); n != 9 || err != nil {
		t.Fatalf("%d bytes given, %v", n, err)
	}
	more, err := unix.Read(endpoint, got[n:])
	if err != nil || !bytes.Equal(got[:n+more], want) {
		t.Errorf("%q, %v", got[:n+more], err)
	}
	Put(p)
	_ = unix.Shutdown(client, unix.SHUT_WR)
	if n, err := p.Fill(near, p.Size()); n != 0 || err != nil {
		t.Errorf("%d bytes at the end, %v", n, err)
	}
}

func TestErrorsAreTheSystems(t *testing.T) {
	p := Get()
	if p == nil {
		t.Fatal("no pipe to be had")
	}
	if n, err := p.Fill(-1, 1); n != 0 || err != syscall.EBADF {
		t.Errorf("%d, %v", n, err)
	}
	Put(p)
}
