package toxic

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chance"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// rig is a Link between two real connections.
type rig struct {
	client, endpoint *net.TCPConn // the peers' ends
	slot             *Slot
	link             *link
	results
}

// results tells how a Link or a Relay has ended, as often as it is asked. It has room for one.
type results chan Result

// wait returns the Result once there is one.
func (r results) wait(t testing.TB) Result {
	t.Helper()
	select {
	case result := <-r:
		r <- result
		return result
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	return Result{}
}

// patience is how long a test waits for what must happen.
const patience = time.Minute

// tcpPair returns the two ends of a connection over the loopback.
func tcpPair(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

func newRig(t testing.TB, o Options, as ...Active) *rig {
	t.Helper()
	r := &rig{slot: NewSlot(as...), results: make(results, 1)}
	var near, far *net.TCPConn
	r.client, near = tcpPair(t)
	far, r.endpoint = tcpPair(t)
	r.link = newLink(r.slot, o) // as Link does
	go func() { r.results <- r.link.run(near, far) }()
	t.Cleanup(func() {
		r.slot.Set() // or ends are held back, too
		r.client.Close()
		r.endpoint.Close()
		near.Close()
		far.Close()
		r.wait(t)
	})
	return r
}

// act returns a toxic in force, on every connection.
func act(name string, d proxy.Direction, toxic proxy.Toxic) Active {
	e := &Entry{Name: name, Direction: d, Toxicity: 1, Toxic: toxic, Key: chance.NewKey(1, name), Began: time.Now()}
	if s, ok := toxic.(Sharer); ok {
		e.Shared = s.NewShared()
	}
	return Active{Entry: e}
}

func fixed(n float64) shape.Value { return shape.Const(n) }

func read(t testing.TB, c net.Conn, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(c, p); err != nil {
		t.Fatalf("read: %v", err)
	}
	return p
}

// readEnd reads until the connection ends.
func readEnd(c net.Conn) ([]byte, error) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	return io.ReadAll(c)
}

func write(t testing.TB, c net.Conn, p []byte) {
	t.Helper()
	if _, err := c.Write(p); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }

func TestLinkCarriesBothWays(t *testing.T) {
	for _, as := range [][]Active{nil, {act("n", proxy.Downstreamward, Noop{}), act("u", proxy.Upstreamward, Noop{})}} {
		r := newRig(t, Options{}, as...)
		write(t, r.client, []byte("ping"))
		if got := read(t, r.endpoint, 4); string(got) != "ping" {
			t.Errorf("endpoint got %q", got)
		}
		write(t, r.endpoint, []byte("pong!"))
		if got := read(t, r.client, 5); string(got) != "pong!" {
			t.Errorf("client got %q", got)
		}
		r.client.CloseWrite()
		if rest, err := readEnd(r.endpoint); len(rest) > 0 || err != nil {
			t.Errorf("endpoint: %q, %v", rest, err)
		}
		r.endpoint.CloseWrite()
		if rest, err := readEnd(r.client); len(rest) > 0 || err != nil {
			t.Errorf("client: %q, %v", rest, err)
		}
		if got := r.wait(t); got.Cause != ByPeers || got.Side != ClientSide || got.Upstream != 4 || got.Downstream != 5 {
			t.Errorf("result: %+v", got)
		}
	}
}

func TestLinkCarriesMuch(t *testing.T) {
	t.Parallel()
	data := make([]byte, 8<<20)
	for i := range data {
		data[i] = byte(i * 7 / 3)
	}
	for name, as := range map[string][]Active{
		"nothing": nil, "noop": {act("n", proxy.Downstreamward, Noop{})},
		"latency": {act("n", proxy.Downstreamward, Latency{Latency: fixed(50)})},
		"slicer":  {act("n", proxy.Downstreamward, Slicer{AverageSize: fixed(9000), SizeVariation: fixed(500)})},
		"rate":    {act("n", proxy.Downstreamward, Bandwidth{Rate: fixed(100e6)})},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{}, as...)
			go func() {
				_, _ = r.endpoint.Write(data)
				r.endpoint.CloseWrite()
			}()
			got, err := readEnd(r.client)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("got %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestLatencyOnLoopback(t *testing.T) {
	r := newRig(t, Options{}, act("l", proxy.Downstreamward, Latency{Latency: fixed(50)}))
	for range 5 {
		began := time.Now()
		write(t, r.endpoint, []byte("x"))
		read(t, r.client, 1)
		if d := time.Since(began); d < 50*time.Millisecond {
			t.Errorf("took %v", d)
		}
	}
}
