package testbed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// StreamBackend is a running TCP or UDP server that is an endpoint of the Service of its name, port 7000, in the namespace
// "default".
type StreamBackend struct {
	Name        string
	Connections atomic.Int64 // that have come
	Datagrams   atomic.Int64 // that have come

	bed      *Bed
	protocol string
	service  string
	port     int
	stop     func()
}

// TCPBackend starts a backend whose connections serve gets, and applies a Service with it as its endpoint. serve need not close
// the connection. A nil serve says the name and then sends back what it gets. annotations go to the Service.
func (b *Bed) TCPBackend(name string, serve func(*net.TCPConn), annotations ...string) *StreamBackend {
	b.t.Helper()
	s := b.startTCP(name, serve)
	b.Write("service-"+name+".yaml", s.manifest(annotations))
	return s
}

// ExtraTCP starts one more endpoint for a Service that exists.
func (b *Bed) ExtraTCP(service, name string, serve func(*net.TCPConn)) *StreamBackend {
	b.t.Helper()
	s := b.startTCP(name, serve)
	s.service = service
	b.Write("endpoint-"+name+".yaml", s.slice())
	return s
}

func (b *Bed) startTCP(name string, serve func(*net.TCPConn)) *StreamBackend {
	b.t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.t.Fatalf("listen for backend %s: %v", name, err)
	}
	if serve == nil {
		serve = func(nc *net.TCPConn) {
			if _, err := io.WriteString(nc, name+"\n"); err == nil {
				_, _ = io.Copy(nc, nc) // the peer may be gone
				_ = nc.CloseWrite()
			}
		}
	}
	s := &StreamBackend{Name: name, bed: b, protocol: "TCP", service: name, port: ln.Addr().(*net.TCPAddr).Port}
	var running sync.WaitGroup
	var mu sync.Mutex
	open := map[*net.TCPConn]bool{}
	running.Go(func() {
		for {
			nc, err := ln.AcceptTCP()
			if err != nil {
				return
			}
			s.Connections.Add(1)
			mu.Lock()
			open[nc] = true
			mu.Unlock()
			running.Go(func() {
				serve(nc)
				_ = nc.Close()
				mu.Lock()
				delete(open, nc)
				mu.Unlock()
			})
		}
	})
	s.stop = sync.OnceFunc(func() {
		_ = ln.Close()
		mu.Lock()
		for nc := range open {
			_ = nc.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	b.t.Cleanup(s.Stop)
	return s
}

// UDPBackend starts a backend that sends every datagram back, and applies a Service with it as its endpoint.
func (b *Bed) UDPBackend(name string) *StreamBackend {
	b.t.Helper()
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.t.Fatalf("listen for backend %s: %v", name, err)
	}
	s := &StreamBackend{Name: name, bed: b, protocol: "UDP", service: name, port: pc.LocalAddr().(*net.UDPAddr).Port}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for {
			n, from, err := pc.ReadFromUDPAddrPort(buf)
			if err != nil && errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				s.Datagrams.Add(1)
				_, _ = pc.WriteToUDPAddrPort(buf[:n], from) // datagrams may be lost
			}
		}
	}()
	s.stop = sync.OnceFunc(func() {
		_ = pc.Close()
		<-done
	})
	b.t.Cleanup(s.Stop)
	b.Write("service-"+name+".yaml", s.manifest(nil))
	return s
}

// Stop closes the backend. The Service still names it.
func (s *StreamBackend) Stop() { s.stop() }

func (s *StreamBackend) manifest(annotations []string) string {
	text := fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata:\n  name: %s\n  namespace: default\n", s.Name)
	if len(annotations) > 0 {
		text += "  annotations:\n"
	}
	for i := 0; i+1 < len(annotations); i += 2 {
		text += fmt.Sprintf("    %s: %q\n", annotations[i], annotations[i+1])
	}
	return text + fmt.Sprintf("spec:\n  ports: [{name: stream, port: 7000, protocol: %s}]\n---\n", s.protocol) + s.slice()
}

func (s *StreamBackend) slice() string {
	return fmt.Sprintf(`apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s, namespace: default, labels: {kubernetes.io/service-name: %s}}
addressType: IPv4
ports: [{name: stream, port: %d, protocol: %s}]
endpoints: [{addresses: [127.0.0.1], conditions: {ready: true}}]
`, s.Name, s.service, s.port, s.protocol)
}

// Client is a connection, or a UDP socket, to the proxy. Its methods end the test on a failure, and nothing takes it longer than a
// minute.
type Client struct {
	net.Conn
	t testing.TB
}

// DialTCP opens a connection to a port of the proxy. It is closed with the test.
func (b *Bed) DialTCP(port uint16) *Client { return b.dial("tcp", port) }

// DialUDP opens a socket for a port of the proxy. It is closed with the test.
func (b *Bed) DialUDP(port uint16) *Client { return b.dial("udp", port) }

// Whole opens a connection to a port of the proxy and reads all that comes, up to the end, which may come before the connection is
// known to be open.
func (b *Bed) Whole(port uint16) (text string, isReset bool) {
	b.t.Helper()
	nc, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if errors.Is(err, syscall.ECONNRESET) {
		return "", true
	}
	if err != nil {
		b.t.Fatalf("dial: %v", err)
	}
	defer func() { _ = nc.Close() }() // it has ended
	if err := nc.SetDeadline(time.Now().Add(exchangeTimeout)); err != nil {
		b.t.Fatal(err)
	}
	return (&Client{nc, b.t}).Rest()
}

func (b *Bed) dial(network string, port uint16) *Client {
	b.t.Helper()
	nc, err := net.Dial(network, net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		b.t.Fatalf("dial: %v", err)
	}
	b.t.Cleanup(func() { _ = nc.Close() }) // the test may have closed it
	if err := nc.SetDeadline(time.Now().Add(exchangeTimeout)); err != nil {
		b.t.Fatal(err)
	}
	return &Client{nc, b.t}
}

// Send sends text.
func (c *Client) Send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// Receive reads exactly text, which may come in pieces.
func (c *Client) Receive(text string) {
	c.t.Helper()
	buf := make([]byte, len(text))
	if n, err := io.ReadFull(c, buf); err != nil || string(buf) != text {
		c.t.Fatalf("got %q and %v, want %q", buf[:n], err, text)
	}
}

// Gets reports whether text comes, in place of the end.
func (c *Client) Gets(text string) bool {
	c.t.Helper()
	buf := make([]byte, len(text))
	n, err := io.ReadFull(c, buf)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatalf("neither %q nor an end, but %q", text, buf[:n])
	}
	return err == nil && string(buf) == text
}

// Took sends text, waits for it to come back and returns how long that was.
func (c *Client) Took(text string) time.Duration {
	c.t.Helper()
	began := time.Now()
	c.Send(text)
	c.Receive(text)
	return time.Since(began)
}

// Rest reads to the end and returns what came, and whether the end was a reset.
func (c *Client) Rest() (text string, isReset bool) {
	c.t.Helper()
	var all bytes.Buffer
	_, err := io.Copy(&all, c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatalf("read: %v after %q", err, all.String())
	}
	return all.String(), err != nil
}

// CloseWrite ends the direction to the proxy.
func (c *Client) CloseWrite() {
	c.t.Helper()
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
}
