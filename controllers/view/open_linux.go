package view

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// isOpenForWriting reports whether somebody has a file open for writing: the kernel grants no lease for reading then (fcntl(2),
// F_SETLEASE). It is false if that cannot be known, as of a file of another user. NFS and SMB may refuse a lease of any file.
func isOpenForWriting(f *os.File) bool {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	if err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK) // at once: a lease makes who wants to write wait
	}
	return errors.Is(err, unix.EAGAIN)
}
