package main

import "syscall"

// dieWithParent has the kernel end a child whose parent was killed and could not do it. A process group of its own keeps
// a terminal's interrupt away from the child: it is the parent that ends it.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
