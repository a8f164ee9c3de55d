package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
)

// process is a running child. Its methods may be called on a nil process, which counts as ended.
type process struct {
	name, log string
	cmd       *exec.Cmd
	done      chan struct{} // closed when the child has ended
	err       error         // how it ended; read after done
	killed    atomic.Bool   // it was told to end
}

// startProcess starts a program whose output is appended to the file log. If it ends without being told to, died gets
// an error.
func startProcess(log string, died chan<- error, program string, args ...string) (*process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &process{name: filepath.Base(program), log: log, cmd: exec.Command(program, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = f, f
	p.cmd.SysProcAttr = dieWithParent()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
		if !p.killed.Load() {
			died <- p.failure()
		}
	}()
	return p, nil
}

func (p *process) ended() bool {
	if p == nil {
		return true
	}
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill ends the child as a crash would and waits until it is gone.
func (p *process) kill() {
	if p == nil {
		return
	}
	p.killed.Store(true)
	_ = p.cmd.Process.Kill() // fails only if it has ended already
	<-p.done
}

// failure says how the child ended, with the last lines that it wrote.
func (p *process) failure() error {
	return errors.Join(fmt.Errorf("%s ended: %v", p.name, p.err), p.tail())
}

// tail returns the last lines of the child's output as an error.
func (p *process) tail() error {
	const most = 4096
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err
	}
	if len(b) > most {
		b = b[len(b)-most:]
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	return fmt.Errorf("%s:\n%s", p.log, b)
}
