package toxic

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// passPatience is how long a test waits for what must happen.
const passPatience = 20 * time.Second

// sockets returns the two ends of a TCP connection.
func sockets(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialled := make(chan net.Conn, 1)
	go func() {
		c, _ := net.Dial("tcp", ln.Addr().String())
		dialled <- c
	}()
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := <-dialled
	if c == nil {
		t.Fatal("no connection")
	}
	t.Cleanup(func() { c.Close(); accepted.Close() })
	deadline := time.Now().Add(passPatience)
	_ = c.SetDeadline(deadline)
	return c.(*net.TCPConn), accepted.(*net.TCPConn)
}

// linked is a Link between two sockets.
type linked struct {
	client, endpoint *net.TCPConn
	slot             *Slot
	result           chan Result
}

func newLinked(t testing.TB, o Options) *linked {
	t.Helper()
	client, down := sockets(t)
	endpoint, up := sockets(t)
	l := &linked{client: client, endpoint: endpoint, slot: NewSlot(), result: make(chan Result, 1)}
	go func() { l.result <- Link(down, up, l.slot, o) }()
	t.Cleanup(func() {
		client.Close()
		endpoint.Close()
		<-l.result
	})
	return l
}

// marked returns n bytes in which each place looks different.
func marked(n int) []byte {
	p := make([]byte, n)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := 0; i+8 <= n; i += 8 {
		v := r.Uint64()
		for j := range 8 {
			p[i+j] = byte(v >> (8 * j))
		}
	}
	return p
}

func delays(ms float64) []Active {
	return []Active{
		{Entry: &Entry{Name: "up", Direction: proxy.Upstreamward, Toxicity: 1, Toxic: Latency{Latency: shape.Const(ms)}}},
		{Entry: &Entry{Name: "down", Direction: proxy.Downstreamward, Toxicity: 1, Toxic: Latency{Latency: shape.Const(ms)}}},
	}
}

// Toxics that come and go must not cost a byte, wherever the bytes are: in a buffer, in a pipe, with the engine.
func TestPassLosesNothingWhenToxicsComeAndGo(t *testing.T) {
	const size = 48 << 20
	l := newLinked(t, Options{Idle: time.Minute})
	sent := marked(size)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, c := range []*net.TCPConn{l.client, l.endpoint} {
		wg.Go(func() {
			for rest := sent; len(rest) > 0; {
				n, err := c.Write(rest[:min(len(rest), 1+rand.IntN(1<<20))])
				if err != nil {
					t.Error(err)
					return
				}
				rest = rest[n:]
			}
			_ = c.CloseWrite()
		})
	}
	wg.Go(func() {
		for on := true; ; on = !on {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(rand.IntN(3000)) * time.Microsecond):
			}
			if on {
				l.slot.Set(delays(2)...)
			} else {
				l.slot.Set()
			}
		}
	})
	var readers sync.WaitGroup
	for _, c := range []*net.TCPConn{l.client, l.endpoint} {
		readers.Go(func() {
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d bytes of %d, %v", len(got), size, err)
			}
		})
	}
	readers.Wait()
	close(stop)
	wg.Wait()
}
