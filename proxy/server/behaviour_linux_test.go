package server

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// shrinkBacklog makes a listener hold only one connection that nobody accepts.
func shrinkBacklog(raw syscall.RawConn) (err error) {
	cerr := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) })
	if cerr != nil {
		return cerr
	}
	return err
}

func TestConnectTimeoutIs504(t *testing.T) {
	// A listener whose queue is full answers no SYN.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	raw, err := ln.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := shrinkBacklog(raw); err != nil {
		t.Skip(err)
	}
	for range 8 {
		c, err := net.DialTimeout("tcp", ln.Addr().String(), 100*time.Millisecond)
		if err != nil {
			break
		}
		defer c.Close()
	}
	c := dialWire(t, proxyTo(t, Config{Upstream: upstream.Config{DialTimeout: 200 * time.Millisecond}}, ln.Addr().String()))
	c.send(get("/"))
	c.want("GET", 504)
}
