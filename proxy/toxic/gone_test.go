package toxic

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// The tests of this file are about links that nobody needs any more while a toxic withholds what they carry for ever.

func holdBoth() []Active {
	return []Active{act("u", proxy.Upstreamward, Timeout{}), act("d", proxy.Downstreamward, Timeout{})}
}

// wantEndBefore fails unless the result comes long before peers that may be there are given up.
func wantEndBefore(t testing.TB, result <-chan Result) Result {
	t.Helper()
	select {
	case r := <-result:
		return r
	case <-time.After(closingTime / 2):
		t.Fatal("the link does not end")
		return Result{}
	}
}

// held is a Link between sockets whose toxics withhold everything, that has got something from both peers.
func held(t *testing.T, size int) (client, near, far, endpoint *net.TCPConn, result chan Result) {
	t.Helper()
	client, near = tcpPair(t)
	far, endpoint = tcpPair(t)
	t.Cleanup(func() { client.Close(); near.Close(); far.Close(); endpoint.Close() })
	result = make(chan Result, 1)
	slot := NewSlot(holdBoth()...)
	go func() { result <- Link(near, far, slot, Options{Buffer: size, Idle: time.Hour}) }()
	for _, c := range []*net.TCPConn{client, endpoint} {
		fillSome(t, c, size)
	}
	return client, near, far, endpoint, result
}

// fillSome writes twice so many bytes, as far as they are taken: more than are ever read if that is a buffer.
func fillSome(t *testing.T, c *net.TCPConn, size int) {
	t.Helper()
	if size == 0 {
		write(t, c, []byte("hello"))
		return
	}
	write(t, c, make([]byte, 2*size))
}

func TestPeersThatHaveBothResetAreNotKept(t *testing.T) {
	for name, size := range map[string]int{"reading": 0, "full": 64 << 10} {
		t.Run(name, func(t *testing.T) {
			client, _, _, endpoint, result := held(t, size)
			for _, c := range []*net.TCPConn{client, endpoint} {
				_ = c.SetLinger(0)
				c.Close()
			}
			if r := wantEndBefore(t, result); r.Cause != ByReset || !isReset(r.Err) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A peer that resets after it has ended what it sends is noticed, too.
func TestPeersThatResetAfterTheirEndAreNotKept(t *testing.T) {
	for name, size := range map[string]int{"reading": 0, "full": 64 << 10} {
		t.Run(name, func(t *testing.T) {
			client, _, _, endpoint, result := held(t, size)
			for _, c := range []*net.TCPConn{client, endpoint} {
				_ = c.CloseWrite()
			}
			for _, c := range []*net.TCPConn{client, endpoint} {
				_ = c.SetLinger(0)
				c.Close()
			}
			wantEndBefore(t, result)
		})
	}
}

// Who closes the connections cuts the Link, whatever toxics withhold, without a look at its Slot.
func TestClosingConnectionsCutsTheLink(t *testing.T) {
	for name, size := range map[string]int{"reading": 0, "full": 64 << 10} {
		t.Run(name, func(t *testing.T) {
			client, near, far, endpoint, result := held(t, size)
			near.Close()
			far.Close()
			wantEndBefore(t, result)
			for _, c := range []*net.TCPConn{client, endpoint} {
				if got, _ := readEnd(c); len(got) > 0 {
					t.Errorf("%d bytes of what is withheld", len(got))
				}
			}
		})
	}
	t.Run("one", func(t *testing.T) {
		_, near, _, endpoint, result := held(t, 0)
		near.Close()
		if r := wantEndBefore(t, result); r.Cause != ByReset || r.Side != ClientSide {
			t.Errorf("%+v", r)
		}
		if _, err := readEnd(endpoint); !isReset(err) {
			t.Errorf("the endpoint sees %v: what is cut off must not look complete", err)
		}
	})
}

func TestClosingATLSConnectionCutsTheLink(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	certificate := server.TLS.Certificates[0]
	server.Close()
	rawClient, rawNear := tcpPair(t)
	far, endpoint := tcpPair(t)
	t.Cleanup(func() { rawClient.Close(); rawNear.Close(); far.Close(); endpoint.Close() })
	client, near := tls.Client(rawClient, &tls.Config{InsecureSkipVerify: true}), tls.Server(rawNear, &tls.Config{Certificates: []tls.Certificate{certificate}})
	go func() { _ = client.Handshake() }()
	if err := near.Handshake(); err != nil {
		t.Fatal(err)
	}
	result := make(chan Result, 1)
	go func() {
		result <- Link(near, far, NewSlot(act("u", proxy.Upstreamward, Timeout{})), Options{Buffer: 16 << 10})
	}()
	write(t, client, make([]byte, 64<<10))
	rawNear.Close() // the direction that reads it has no room
	wantEndBefore(t, result)
}

// Peers that have both sent FIN may only have closed one direction, so they are kept for a while, idle timeout or not.
func TestPeersThatHaveBothEndedAreNotKeptForTheIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{Idle: 24 * time.Hour}, holdBoth()...)
		_ = b.client.(*memory).CloseWrite()
		_ = b.endpoint.(*memory).CloseWrite()
		r := <-b.result
		b.result <- r
		defer b.close()
		if d := b.elapsed(); d != closingTime {
			t.Errorf("kept for %v", d)
		}
	})
}

// The end of what a peer sends is noticed behind bytes for which there is no room.
func TestEndBehindAFullBufferIsNoticed(t *testing.T) {
	client, near := tcpPair(t)
	far, endpoint := tcpPair(t)
	l := newLink(NewSlot(holdBoth()...), Options{Buffer: 16 << 10})
	done := make(chan Result, 1)
	go func() { done <- l.run(near, far) }()
	for _, c := range []*net.TCPConn{client, endpoint} {
		write(t, c, make([]byte, 32<<10)) // the kernel has room for what we have not
		_ = c.CloseWrite()
	}
	eventually(t, "both ends are noticed", func() bool { return l.goneAt.Load() != 0 })
	for _, c := range []*net.TCPConn{client, endpoint} {
		c.Close()
	}
	near.Close()
	far.Close()
	wantEndBefore(t, done)
}

// A peer that has ended what it sends, and reads slowly what it gets, is not gone; nor is the processor kept busy by waiting for it.
func TestEndedPeersThatReadSlowlyLoseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{}, down("l", Latency{Latency: fixed(10)})) // which takes everything in, the end as well
		sent := pattern(1 << 20)
		b.send(sent, len(sent), 0)
		_ = b.client.(*memory).CloseWrite()
		time.Sleep(5 * closingTime)
		if got, err := io.ReadAll(b.client); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		b.close()
	})
}

// Close of a Conn is heeded within its time, Reset at once, however much waits in it.
func TestClosedConnIsNotKept(t *testing.T) {
	for name, end := range map[string]func(*Conn){"Close": func(c *Conn) { _ = c.Close() }, "Reset": (*Conn).Reset} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newMemory(nil, nil)
				c := NewConn(a, NewSlot(holdBoth()...), ClientSide, Options{Buffer: 8 << 10})
				_ = c.SetWriteDeadline(time.Now().Add(time.Second))
				if _, err := c.Write(make([]byte, 1<<20)); err == nil {
					t.Error("everything is taken")
				}
				done := c.done
				end(c)
				time.Sleep(closingTime + time.Second)
				synctest.Wait()
				select {
				case <-done:
				default:
					t.Error("the link is kept")
				}
				b.Close()
			})
		})
	}
}
