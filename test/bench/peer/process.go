package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopGrace is how long a process may take to end after SIGTERM.
const stopGrace = 3 * time.Second

// Process is a running program with all its children, in a process group of its own.
type Process struct {
	Name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error // why it ended; readable once done is closed
}

// Start starts a command; its output goes to a file in dir. The process ends with the bench even if the bench is killed.
func Start(name string, command Command, dir string) (*Process, error) {
	log := filepath.Join(dir, name+".log")
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(command.Args[0], command.Args[1:]...)
	cmd.Env = append(os.Environ(), command.Env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{Name: name, cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID is the id of the process and of its group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop ends the whole process group: politely first, by force after a grace period.
func (p *Process) Stop() {
	_ = syscall.Kill(-p.PID(), syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopGrace):
	}
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	<-p.done
}

// Ready waits until check succeeds, for at most limit; it fails at once when the process ends or ctx does.
func (p *Process) Ready(ctx context.Context, limit time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready (%v): %s", p.Name, p.err, p.Log())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after %v: %w: %s", p.Name, limit, err, p.Log())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Log is the end of what the process wrote.
func (p *Process) Log() string {
	const tail = 2000
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-tail):]))
}

// Get sends one GET request for a host to an address on a connection of its own and returns the body of a 200 response.
func Get(ctx context.Context, address, host, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return "", err
	}
	request.Host = host
	request.Close = true
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", errors.New("GET " + path + ": " + response.Status)
	}
	return string(body), nil
}

// Control sends a request that changes something to the admin endpoint of a Breakwater, on a connection of its own, as the command
// line of Breakwater does.
func Control(ctx context.Context, admin, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+admin+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("X-Breakwater-Admin", "1")
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("POST %s: %s: %s", path, response.Status, said)
	}
	return err
}
