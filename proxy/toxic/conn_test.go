package toxic

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

func TestConnWithoutToxicsIsDirect(t *testing.T) {
	a, b := tcpPair(t)
	c := NewConn(a, NewSlot(), ClientSide, Options{})
	defer b.Close()
	write(t, c, []byte("hello"))
	read(t, b, 5)
	write(t, b, []byte("world"))
	read(t, c, 5)
	if c.near.Load() != nil {
		t.Error("a link runs for nothing")
	}
	c.Close()
	if _, err := readEnd(b); err != nil {
		t.Error(err)
	}
}

func TestConnDelaysBothDirections(t *testing.T) {
	for _, side := range []Side{ClientSide, EndpointSide} {
		synctest.Test(t, func(t *testing.T) {
			a, b := newMemory(nil, nil)
			toPeer, fromPeer := proxy.Downstreamward, proxy.Upstreamward
			if side == EndpointSide {
				toPeer, fromPeer = fromPeer, toPeer
			}
			c := NewConn(a, NewSlot(act("to", toPeer, Latency{Latency: fixed(2000)}), act("from", fromPeer, Latency{Latency: fixed(5000)})), side, Options{})
			began := time.Now()
			write(t, c, []byte("hello"))
			if time.Since(began) != 0 {
				t.Error("Write waits")
			}
			p := make([]byte, 5)
			_, _ = io.ReadFull(b, p)
			if d := time.Since(began); d != 2*time.Second {
				t.Errorf("side %v: written bytes take %v", side, d)
			}
			write(t, b, []byte("world"))
			_, _ = io.ReadFull(c, p)
			if d := time.Since(began); d != 7*time.Second {
				t.Errorf("side %v: read bytes take %v", side, d)
			}
			write(t, c, []byte("last words"))
			c.Close()
			if got, err := io.ReadAll(b); string(got) != "last words" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			if d := time.Since(began); d != 9*time.Second {
				t.Errorf("side %v: last words take %v", side, d)
			}
			b.Close()
		})
	}
}

func TestConnGetsToxicsWhileItWaits(t *testing.T) {
	a, b := tcpPair(t)
	defer b.Close()
	slot := NewSlot()
	c := NewConn(a, slot, ClientSide, Options{})
	defer c.Close()
	got := make(chan error, 1)
	go func() {
		p := make([]byte, 5)
		_, err := io.ReadFull(c, p)
		if err == nil && string(p) != "hello" {
			err = errors.New(string(p))
		}
		got <- err
	}()
	write(t, b, []byte("he"))
	slot.Set(act("n", proxy.Upstreamward, Latency{Latency: fixed(20)}))
	write(t, b, []byte("llo"))
	if err := <-got; err != nil {
		t.Error(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	_ = c.SetReadDeadline(time.Time{})
	slot.Set(act("r", proxy.Upstreamward, ResetPeer{}))
	if _, err := readEnd(b); !isReset(err) {
		t.Errorf("peer sees %v", err)
	}
	if _, err := readEnd(c); !isReset(err) {
		t.Errorf("we see %v", err)
	}
}

func TestConnKeepsBytesUnderChange(t *testing.T) {
	a, b := tcpPair(t)
	slot := NewSlot()
	c := NewConn(a, slot, EndpointSide, Options{})
	data := pattern(4 << 20)
	done := make(chan error, 1)
	go func() {
		for rest := data; len(rest) > 0; {
			n, err := c.Write(rest[:min(len(rest), 100000)])
			if rest = rest[n:]; err != nil {
				done <- err
				return
			}
		}
		done <- c.CloseWrite()
	}()
	go func() {
		slot.Set(act("l", proxy.Upstreamward, Latency{Latency: fixed(20)}))
		slot.Set(act("l", proxy.Upstreamward, Latency{Latency: fixed(5)}), act("s", proxy.Upstreamward, Slicer{AverageSize: fixed(10000)}))
		slot.Set()
	}()
	if got, err := readEnd(b); !bytes.Equal(got, data) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	b.Close()
	c.Close()
}

// TestLinkOverTLS: a connection whose writes may not be interrupted.
func TestLinkOverTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	certificate := server.TLS.Certificates[0]
	server.Close()
	rawClient, near := tcpPair(t)
	far, endpoint := tcpPair(t)
	client := tls.Client(rawClient, &tls.Config{InsecureSkipVerify: true})
	slot := NewSlot(act("l", proxy.Downstreamward, Latency{Latency: fixed(10)}))
	result := make(chan Result, 1)
	go func() {
		nc := tls.Server(near, &tls.Config{Certificates: []tls.Certificate{certificate}})
		if err := nc.Handshake(); err != nil {
			t.Error(err)
		}
		result <- Link(nc, far, slot, Options{})
	}()
	data := pattern(8 << 20)
	go func() {
		_, _ = endpoint.Write(data)
		endpoint.CloseWrite()
	}()
	write(t, client, []byte("go"))
	read(t, endpoint, 2)
	for range 20 { // interrupts the writes, many of which wait: nobody reads
		slot.Set(act("n", proxy.Downstreamward, Noop{}))
		time.Sleep(time.Millisecond)
		slot.Set()
	}
	if got, err := readEnd(client); !bytes.Equal(got, data) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	client.Close()
	endpoint.Close()
	if got := <-result; got.Cause != ByPeers && got.Cause != ByReset {
		t.Errorf("%+v", got)
	}
}

// TestLinkOverTLSEndsInTime: a toxic acts although a write waits that may not be interrupted.
func TestLinkOverTLSEndsInTime(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	certificate := server.TLS.Certificates[0]
	server.Close()
	rawClient, near := tcpPair(t)
	far, endpoint := tcpPair(t)
	defer rawClient.Close()
	defer endpoint.Close()
	client := tls.Client(rawClient, &tls.Config{InsecureSkipVerify: true})
	slot := NewSlot()
	result := make(chan Result, 1)
	go func() {
		result <- Link(tls.Server(near, &tls.Config{Certificates: []tls.Certificate{certificate}}), far, slot, Options{Buffer: 1 << 20})
	}()
	write(t, client, []byte("go"))
	read(t, endpoint, 2)
	fillUp(endpoint)
	slot.Set(act("d", proxy.Downstreamward, Down{}))
	select {
	case got := <-result:
		if got.Cause != ByToxic {
			t.Errorf("%+v", got)
		}
	case <-time.After(patience):
		t.Fatal("the link does not end")
	}
}

var _ net.Conn = (*memory)(nil)
