package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// startAwake keeps the processors from sleeping until stop is called, by the program cmd/awake, and for limit at most. The error of stop
// says that they were not kept awake all the time.
func startAwake(program string, limit time.Duration) (stop func() error, err error) {
	cmd := exec.Command(program, "--limit", limit.String())
	cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1")
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe() // it ends when this does
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() error {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("keep the processors awake: %w: %s", err, bytes.TrimSpace(said.Bytes()))
		}
		return nil
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		if ended := stop(); ended != nil {
			err = ended
		}
		return nil, err
	}
	return stop, nil
}

// tryAwake finds out whether processors can be kept awake. If not, the report says so, and all is measured as the machine idles.
func (s *session) tryAwake() {
	if !s.awake {
		return
	}
	stop, err := startAwake(s.program("awake"), time.Minute)
	if err == nil {
		err = stop()
	}
	if err != nil {
		s.awake = false
		s.report.Warn("stream: latency is measured as the machine idles only, for the processors cannot be kept awake: %v", err)
	}
}
