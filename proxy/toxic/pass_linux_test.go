package toxic

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// sockets returns the two ends of a TCP connection, which the test closes. Reading from the first one, and writing to it, ends in time.
func sockets(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	a, b = tcpPair(t)
	t.Cleanup(func() { a.Close(); b.Close() })
	_ = a.SetDeadline(time.Now().Add(patience))
	return a, b
}

// linked is a Link between two sockets.
type linked struct {
	client, endpoint *net.TCPConn
	slot             *Slot
	results
}

// tight, as the Buffer of newLinked, is for a socket to the endpoint that has room for very little.
const tight = -1

func newLinked(t testing.TB, o Options) *linked {
	t.Helper()
	client, down := sockets(t)
	endpoint, up := sockets(t)
	if o.Buffer == tight {
		o.Buffer = 0
		_ = up.SetWriteBuffer(1) // as little as there can be
	}
	l := &linked{client: client, endpoint: endpoint, slot: NewSlot(), results: make(results, 1)}
	go func() { l.results <- Link(down, up, l.slot, o) }()
	t.Cleanup(func() {
		client.Close()
		endpoint.Close()
		l.wait(t)
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
	t.Parallel()
	const size = 16 << 20
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

// A connection that has carried messages and bulk holds nothing while it waits, ends its directions one by one, and counts.
func TestPassMixesMessagesAndBulk(t *testing.T) {
	t.Parallel()
	l := newLinked(t, Options{Idle: time.Minute})
	want := int64(0)
	for i, size := range []int{1, 64, bulkSize, 100, 1, 3 * bulkSize, 7} {
		sent := marked(size + 8)[:size]
		go func() { _, _ = l.client.Write(sent) }()
		got := make([]byte, size)
		if _, err := io.ReadFull(l.endpoint, got); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("step %d: %v", i, err)
		}
		want += int64(size)
	}
	// Data and end together: the end must not be overlooked.
	if _, err := l.client.Write([]byte("last")); err != nil {
		t.Fatal(err)
	}
	_ = l.client.CloseWrite()
	if got, err := io.ReadAll(l.endpoint); err != nil || string(got) != "last" {
		t.Fatalf("%q %v", got, err)
	}
	answer := marked(bulkSize)
	go func() {
		_, _ = l.endpoint.Write(answer)
		_ = l.endpoint.CloseWrite()
	}()
	if got, err := io.ReadAll(l.client); err != nil || !bytes.Equal(got, answer) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	r := l.wait(t)
	if r.Upstream != want+4 || r.Downstream != bulkSize || r.Cause != ByPeers || r.Side != ClientSide {
		t.Errorf("%+v", r)
	}
}

// bulkSize is more than the sockets' buffers hold.
const bulkSize = 12 << 20

func TestPassDeliversWhatDoesNotFitAtOnce(t *testing.T) {
	t.Parallel()
	l := newLinked(t, Options{Buffer: tight})
	sent, n := marked(16<<20), 0
	for n < len(sent) { // until there is room nowhere any more
		_ = l.client.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		m, err := l.client.Write(sent[n:min(len(sent), n+48<<10)]) // less than makes it splice
		n += m
		if err != nil {
			break
		}
	}
	_ = l.client.CloseWrite()
	if got, err := io.ReadAll(l.endpoint); err != nil || !bytes.Equal(got, sent[:n]) {
		t.Fatalf("%d bytes of %d, %v", len(got), n, err)
	}
}

// exhaust takes all that the runtime's poller has to tell of c, whose peer has sent its end. The pause lets the last of it come; no
// test fails if it does not.
func exhaust(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Read(func(fd uintptr) bool { return stateOfFD(int(fd)) == peerEnded }); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
	_ = raw.Read(func(uintptr) bool { return false })
	_ = c.SetReadDeadline(time.Time{})
}

// The end of what a peer sends may be there together with its last bytes: then nothing tells of it apart.
func TestPassSeesAnEndThatIsThereAlready(t *testing.T) {
	for range 20 {
		client, down := sockets(t)
		endpoint, up := sockets(t)
		if _, err := client.Write([]byte("last")); err != nil {
			t.Fatal(err)
		}
		_ = client.CloseWrite()
		_ = endpoint.CloseWrite()
		exhaust(t, down)
		exhaust(t, up)
		done := make(results, 1)
		go func() { done <- Link(down, up, NewSlot(), Options{}) }()
		if got, err := io.ReadAll(endpoint); err != nil || string(got) != "last" {
			t.Fatalf("%q %v", got, err)
		}
		done.wait(t)
	}
}

func TestPassResets(t *testing.T) {
	for _, bulk := range []bool{false, true} {
		l := newLinked(t, Options{})
		failed := make(chan error, 1)
		go func() {
			p := []byte("hello")
			if bulk {
				p = marked(bulkSize)
			}
			_, err := l.endpoint.Write(p)
			failed <- err
		}()
		if _, err := io.ReadFull(l.client, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		_ = l.client.SetLinger(0)
		l.client.Close()
		_, err := io.ReadAll(l.endpoint)
		// A reset is told once, to whoever comes first.
		if writeErr := <-failed; !errors.Is(err, syscall.ECONNRESET) && !errors.Is(writeErr, syscall.ECONNRESET) {
			t.Errorf("bulk %v: the endpoint sees %v and %v, want a reset", bulk, err, writeErr)
		}
		r := l.wait(t)
		if r.Cause != ByReset || r.Side != ClientSide {
			t.Errorf("bulk %v: %+v", bulk, r)
		}
	}
}

// Traffic in one direction keeps the other one alive, and silence ends both.
func TestPassEndsIdleLinks(t *testing.T) {
	t.Parallel()
	const idle = 1500 * time.Millisecond
	eventually(t, "bytes come soon enough one after another", func() bool {
		last := time.Now()
		l := newLinked(t, Options{Idle: idle})
		for range 8 {
			began := time.Now()
			_, err := l.client.Write([]byte("x"))
			if err == nil {
				_, err = io.ReadFull(l.endpoint, make([]byte, 1))
			}
			if err != nil {
				if time.Since(last) < idle { // the machine has not held us up
					t.Fatalf("ended although bytes moved: %v", err)
				}
				return false
			}
			last = began
			time.Sleep(idle / 5)
		}
		_, _ = io.ReadAll(l.client)
		if r := l.wait(t); r.Cause != ByIdle {
			t.Errorf("%+v", r)
		}
		return true
	})
}

// A peer that does not read is idle, too, whatever is under way to it.
func TestPassEndsIdleLinksWhoseReceiverIsStuck(t *testing.T) {
	t.Parallel()
	l := newLinked(t, Options{Idle: 200 * time.Millisecond})
	go func() { _, _ = l.client.Write(marked(bulkSize)) }()
	r := l.wait(t)
	if r.Cause != ByIdle {
		t.Errorf("%+v", r)
	}
}

// A change that comes after the toxics have been looked at, and before the deadline is set that it would have made pass, is not
// overlooked.
func TestPassLooksForChangesBeforeItReads(t *testing.T) {
	client, near := sockets(t)
	far, _ := sockets(t)
	l := newLink(NewSlot(), Options{})
	up, down := l.newDirection(proxy.Upstreamward, near, far), l.newDirection(proxy.Downstreamward, far, near)
	l.directions = [2]*direction{down, up}
	up.advance()
	l.slot.Set(act("t", proxy.Upstreamward, Timeout{})) // nobody watches
	if _, err := client.Write([]byte("too late")); err != nil {
		t.Fatal(err)
	}
	done := make(chan bool, 1)
	go func() { done <- up.pass() }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("it waits")
	}
	if up.written > 0 {
		t.Errorf("%d bytes have passed although a toxic acts", up.written)
	}
}

func BenchmarkLink(b *testing.B) {
	for name, link := range map[string]func(a, b *net.TCPConn){
		"link": func(a, b *net.TCPConn) { Link(a, b, NewSlot(), Options{Idle: time.Hour}) },
		"io.Copy": func(a, b *net.TCPConn) {
			type plain struct{ net.Conn } // as a proxy that wraps its connections: without splice
			go func() { _, _ = io.Copy(plain{a}, plain{b}) }()
			_, _ = io.Copy(plain{b}, plain{a})
		},
	} {
		b.Run("round trip of 64 bytes/"+name, func(b *testing.B) {
			client, down := sockets(b)
			endpoint, up := sockets(b)
			_, _ = client.SetDeadline(time.Time{}), endpoint.SetDeadline(time.Time{})
			go link(down, up)
			go func() { _, _ = io.Copy(struct{ io.Writer }{endpoint}, endpoint) }()
			p := make([]byte, 64)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Write(p); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(client, p); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("bulk/"+name, func(b *testing.B) {
			client, down := sockets(b)
			endpoint, up := sockets(b)
			_, _ = client.SetDeadline(time.Time{}), endpoint.SetDeadline(time.Time{})
			go link(down, up)
			p := make([]byte, 1<<20)
			go func() {
				for {
					if _, err := endpoint.Write(p); err != nil {
						return
					}
				}
			}()
			q := make([]byte, 1<<20)
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := io.ReadFull(client, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Whoever has set a toxic may rely on it: what is sent afterwards meets it, even if the poller tells of bytes before it tells of the
// toxic.
func TestSetHoldsForWhatComesAfterIt(t *testing.T) {
	t.Parallel()
	hold := Active{Entry: &Entry{Name: "hold", Direction: proxy.Downstreamward, Toxicity: 1, Toxic: Latency{Latency: shape.Const(3_600_000)}}}
	noop := Active{Entry: &Entry{Name: "noop", Direction: proxy.Downstreamward, Toxicity: 1, Toxic: Noop{}}}
	var all sync.WaitGroup
	for i := range 8 {
		var before []Active // bytes are passed on; or they go through the engine
		if i%2 == 1 {
			before = []Active{noop}
		}
		l := newLinked(t, Options{})
		all.Go(func() {
			go func() { _, _ = io.Copy(l.endpoint, l.endpoint) }()
			got := make([]byte, 4)
			echo := func() error {
				_ = l.client.SetReadDeadline(time.Now().Add(patience))
				_, err := io.ReadFull(l.client, got)
				return err
			}
			for round := range 40 {
				_, _ = l.client.Write([]byte("one\n"))
				if err := echo(); err != nil {
					t.Error(err)
					return
				}
				l.slot.Set(append(before[:len(before):len(before)], hold)...)
				_, _ = l.client.Write([]byte("two\n"))
				_ = l.client.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				if n, err := l.client.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("round %d: got %q, %v", round, got[:n], err)
					return
				}
				l.slot.Set(before...)
				if err := echo(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}
