//go:build unix

package nonblock_test

import (
	"syscall"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy/nonblock"
)

func TestReadAndWrite(t *testing.T) {
	var fds [2]int
	if err := syscall.Pipe(fds[:]); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(fds[0]) }()
	for _, fd := range fds {
		if err := syscall.SetNonblock(fd, true); err != nil {
			t.Fatal(err)
		}
	}
	p := make([]byte, 8)
	if n, err := nonblock.Read(fds[0], p); n != 0 || err != syscall.EAGAIN {
		t.Errorf("from an empty pipe: %d, %v", n, err)
	}
	if n, err := nonblock.Write(fds[1], []byte("hello")); n != 5 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
	if n, err := nonblock.Read(fds[0], p); string(p[:n]) != "hello" || err != nil {
		t.Errorf("read: %q, %v", p[:n], err)
	}
	big := make([]byte, 1<<20)
	if n, err := nonblock.Write(fds[1], big); n <= 0 || n == len(big) || err != nil {
		t.Errorf("into a pipe that is too small: %d, %v", n, err)
	}
	for range 1 << 10 { // what a page has left
		if n, err := nonblock.Write(fds[1], big[:1]); err != nil {
			if n != 0 || err != syscall.EAGAIN {
				t.Errorf("into a full pipe: %d, %v", n, err)
			}
			break
		}
	}
	_ = syscall.Close(fds[1])
	for {
		n, err := nonblock.Read(fds[0], big)
		if err != nil {
			t.Fatalf("up to the end: %v", err)
		}
		if n == 0 {
			break
		}
	}
	if n, err := nonblock.Read(-1, p); n != 0 || err != syscall.EBADF {
		t.Errorf("from no descriptor: %d, %v", n, err)
	}
}
