package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// openers is the number of idle connections that are opened at a time.
const openers = 32

// Idle are keep-alive connections that have each served one request.
type Idle struct{ conns []net.Conn }

// OpenIdle opens n connections to address and sends one GET for path and host on each.
func OpenIdle(ctx context.Context, n int, address, host, path string) (*Idle, error) {
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host)
	idle := &Idle{conns: make([]net.Conn, n)}
	failures := make([]error, openers)
	var group sync.WaitGroup
	for first := range openers {
		group.Go(func() {
			reader := bufio.NewReader(nil)
			for i := first; i < n && failures[first] == nil; i += openers {
				idle.conns[i], failures[first] = openOne(ctx, address, request, reader)
			}
		})
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil {
		idle.Close()
		return nil, err
	}
	return idle, nil
}

func openOne(ctx context.Context, address, request string, reader *bufio.Reader) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second, KeepAlive: -1}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if err := serveOne(conn, request, reader); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("first request of an idle connection: %w", err)
	}
	return conn, nil
}

func serveOne(conn net.Conn, request string, reader *bufio.Reader) error {
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	reader.Reset(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || response.Close {
		return fmt.Errorf("status %s, connection to be closed: %v", response.Status, response.Close)
	}
	return conn.SetDeadline(time.Time{})
}

// Lost is the number of connections that the other side has closed or spoken on since they became idle.
func (i *Idle) Lost() int {
	lost := 0
	for _, conn := range i.conns {
		if !quiet(conn) {
			lost++
		}
	}
	return lost
}

// quiet tells that a connection is open and has nothing to read.
func quiet(conn net.Conn) bool {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return false
	}
	waiting := false
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		waiting = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && waiting
}

// Close closes all connections.
func (i *Idle) Close() {
	for _, conn := range i.conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
}
