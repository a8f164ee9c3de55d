package nonblock

import (
	"syscall"
	"unsafe"
)

// Read reads into p, which must not be empty. n is never negative; the error is a syscall.Errno, EAGAIN if there is nothing yet.
func Read(fd int, p []byte) (n int, err error) { return call(syscall.SYS_READ, fd, p) }

// Write is the counterpart of Read.
func Write(fd int, p []byte) (n int, err error) { return call(syscall.SYS_WRITE, fd, p) }

func call(number uintptr, fd int, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(number, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		if errno == 0 {
			return int(n), nil
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}
