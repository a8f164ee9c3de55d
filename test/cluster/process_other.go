//go:build unix && !linux

package main

import "syscall"

// dieWithParent: only Linux can end a child whose parent was killed; elsewhere it lives on.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
