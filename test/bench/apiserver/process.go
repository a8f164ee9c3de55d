package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	// startLimit bounds the start; the first one on a machine builds etcd and kube-apiserver, which takes minutes.
	startLimit = 20 * time.Minute
	stopLimit  = 20 * time.Second
)

// Server is a running API server with its etcd.
type Server struct {
	kubeconfig string
	cmd        *exec.Cmd
	stdin      io.Closer // the programs end when it is closed, also if the bench is killed
	stderr     *lockedBuffer
	done       chan struct{}
	err        error // why it ended; readable once done is closed
}

// Start runs the program of the module in dir, which is test/cluster, and returns when the API server is ready.
func Start(ctx context.Context, dir string) (*Server, error) {
	cmd := exec.Command("go", "run", "-C", dir, ".")
	// A group of its own: Ctrl-C is for the bench, which then ends the rest in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	lines, answers := io.Pipe()
	s := &Server{cmd: cmd, stdin: stdin, stderr: &lockedBuffer{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = answers, s.stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the API server: %w", err)
	}
	go func() {
		s.err = cmd.Wait()
		_ = answers.Close()
		close(s.done)
	}()
	if err := s.await(ctx, lines); err != nil {
		_ = lines.Close() // what it still says need not be read
		s.Stop()
		return nil, fmt.Errorf("start the API server: %w: %s", err, s.stderr)
	}
	return s, nil
}

// await reads the line that says that the API server is ready.
func (s *Server) await(ctx context.Context, lines io.Reader) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	read := make(chan error, 1)
	go func() {
		var answer struct{ Kubeconfig string }
		err := json.NewDecoder(lines).Decode(&answer)
		if err == nil && answer.Kubeconfig == "" {
			err = errors.New("it named no kubeconfig")
		}
		s.kubeconfig = answer.Kubeconfig
		read <- err
	}()
	select {
	case err := <-read:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Kubeconfig is the path of a file that says how to reach the API server as an administrator.
func (s *Server) Kubeconfig() string { return s.kubeconfig }

// Stop ends the API server and removes its data.
func (s *Server) Stop() {
	_ = s.stdin.Close()
	select {
	case <-s.done:
	case <-time.After(stopLimit):
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		<-s.done
	}
}

// lockedBuffer collects what a process writes while others read it.
type lockedBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer // guarded by mu
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}
