//go:build !linux

package nonblock

import "syscall"

// Read reads into p, which must not be empty. n is never negative; the error is a syscall.Errno, EAGAIN if there is nothing yet.
func Read(fd int, p []byte) (n int, err error) { return again(syscall.Read, fd, p) }

// Write is the counterpart of Read.
func Write(fd int, p []byte) (n int, err error) { return again(syscall.Write, fd, p) }

func again(call func(int, []byte) (int, error), fd int, p []byte) (int, error) {
	for {
		n, err := call(fd, p)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}
