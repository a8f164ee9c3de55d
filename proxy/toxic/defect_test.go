package toxic

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// The tests of this file are named after defects that were measured in other implementations.

// quickly fails if f takes long. What it guards against takes for ever, or 25 seconds.
func quickly(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(15 * time.Second):
		t.Fatalf("%s does not return", what)
	}
}

// fillUp writes to c until its peer's host takes no more for a while.
func fillUp(c net.Conn) (written int) {
	p := make([]byte, 64<<10)
	for {
		_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := c.Write(p)
		written += n
		if err != nil {
			_ = c.SetWriteDeadline(time.Time{})
			return written
		}
	}
}

func TestRemovalBesideAClientThatNeverReads(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{Buffer: 1 << 20}, act("l", proxy.Downstreamward, Latency{Latency: fixed(10)}))
	written := fillUp(r.endpoint)
	quickly(t, "Set", func() {
		r.slot.Set(act("b", proxy.Downstreamward, Bandwidth{Rate: fixed(1)}))
		r.slot.Set()
	})
	r.endpoint.CloseWrite()
	if got, err := readEnd(r.client); err != nil || len(got) != written {
		t.Errorf("%d of %d bytes came, %v", len(got), written, err)
	}
}

func TestTimeoutAndResetOnABlockedWriter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		toxic proxy.Toxic
		reset bool
	}{
		{Timeout{Timeout: fixed(200)}, false}, {ResetPeer{Timeout: fixed(200)}, true}, {Down{}, false}, {Down{Reset: true}, true},
	} {
		r := newRig(t, Options{Buffer: 1 << 20})
		fillUp(r.endpoint)
		r.slot.Set(act("t", proxy.Downstreamward, c.toxic))
		if got := r.wait(t); got.Cause != ByToxic || got.Toxic.Toxic != c.toxic {
			t.Errorf("%T: %+v", c.toxic, got)
		}
		_, err := readEnd(r.client)
		if isReset(err) != c.reset {
			t.Errorf("%T: client sees %v", c.toxic, err)
		}
	}
}

func TestResetPeerOnASilentConnection(t *testing.T) {
	r := newRig(t, Options{}, act("r", proxy.Downstreamward, ResetPeer{Timeout: fixed(20)}))
	if _, err := readEnd(r.client); !isReset(err) {
		t.Errorf("client sees %v", err)
	}
	if _, err := readEnd(r.endpoint); !isReset(err) {
		t.Errorf("endpoint sees %v", err)
	}
	if got := r.wait(t); got.Cause != ByToxic || got.Toxic.Name != "r" {
		t.Errorf("%+v", got)
	}
}

func TestResetPeerOnALiveConnection(t *testing.T) {
	for _, d := range []proxy.Direction{proxy.Downstreamward, proxy.Upstreamward} {
		r := newRig(t, Options{})
		write(t, r.client, []byte("hello"))
		read(t, r.endpoint, 5)
		r.slot.Set(act("r", d, ResetPeer{}))
		if _, err := readEnd(r.client); !isReset(err) {
			t.Errorf("%v: client sees %v", d, err)
		}
		if _, err := readEnd(r.endpoint); !isReset(err) {
			t.Errorf("%v: endpoint sees %v", d, err)
		}
	}
}

func TestToxicityZeroNeverResets(t *testing.T) {
	for range 20 {
		a := act("r", proxy.Downstreamward, ResetPeer{})
		a.Toxicity = 0
		r := newRig(t, Options{}, a)
		write(t, r.endpoint, []byte("hello"))
		r.endpoint.Close()
		if got, err := readEnd(r.client); string(got) != "hello" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
	}
}

func TestDecisionIsNotMadeAgain(t *testing.T) {
	var told atomic.Int32
	a := act("half", proxy.Downstreamward, Noop{})
	a.Toxicity = 0.5
	a.Observe = func(o Observation) {
		if !o.Final {
			told.Add(1)
		}
	}
	decided := func(s *Slot) bool { return (*s.current.Load())[0].applied }
	for ordinal := range uint64(200) {
		a.Ordinal = ordinal
		s := NewSlot(a)
		first := decided(s)
		for range 10 {
			s.Set(a, act("other", proxy.Downstreamward, Noop{}))
			if decided(s) != first {
				t.Fatalf("ordinal %d: decided again", ordinal)
			}
			s.Set(a)
		}
		if NewSlot(a); decided(NewSlot(a)) != first {
			t.Fatalf("ordinal %d: another connection of this ordinal differs", ordinal)
		}
	}
	if got := told.Load(); got != 200*3 {
		t.Errorf("told %d times of 600 decisions", got)
	}
}

func TestHalfCloseKeepsTheReply(t *testing.T) {
	for _, as := range [][]Active{nil, {act("l", proxy.Upstreamward, Latency{Latency: fixed(20)}), act("m", proxy.Downstreamward, Latency{Latency: fixed(20)})}} {
		r := newRig(t, Options{}, as...)
		write(t, r.client, []byte("question"))
		r.client.CloseWrite()
		if got, err := readEnd(r.endpoint); string(got) != "question" || err != nil {
			t.Fatalf("endpoint got %q, %v", got, err)
		}
		answer := bytes.Repeat([]byte("answer "), 100000)
		go func() {
			_, _ = r.endpoint.Write(answer)
			r.endpoint.CloseWrite()
		}()
		if got, err := readEnd(r.client); !bytes.Equal(got, answer) || err != nil {
			t.Fatalf("client got %d bytes, %v", len(got), err)
		}
		if got := r.wait(t); got.Cause != ByPeers || got.Side != ClientSide {
			t.Errorf("%+v", got)
		}
	}
}

func TestRemovalOfTimeoutClosesNothing(t *testing.T) {
	untouched := act("t", proxy.Downstreamward, Timeout{})
	untouched.Toxicity = 0
	for _, a := range []Active{act("t", proxy.Downstreamward, Timeout{}), act("t", proxy.Downstreamward, Timeout{Timeout: fixed(60000)}), untouched} {
		r := newRig(t, Options{}, a)
		write(t, r.endpoint, []byte("held"))
		write(t, r.client, []byte("free"))
		read(t, r.endpoint, 4)
		r.slot.Set()
		if got := read(t, r.client, 4); string(got) != "held" {
			t.Errorf("got %q", got)
		}
		write(t, r.endpoint, []byte("more"))
		read(t, r.client, 4)
	}
}

func TestResetPassesThrough(t *testing.T) {
	r := newRig(t, Options{}, act("n", proxy.Upstreamward, Noop{}))
	_ = r.client.SetLinger(0)
	r.client.Close()
	if _, err := readEnd(r.endpoint); !isReset(err) {
		t.Errorf("endpoint sees %v", err)
	}
	if got := r.wait(t); got.Cause != ByReset || got.Side != ClientSide || !isReset(got.Err) {
		t.Errorf("%+v", got)
	}
}

// TestLimitedReplySurvivesUnreadRequest: closing a socket with unread bytes would reset it, and the reset would destroy what the
// client has not read.
func TestLimitedReplySurvivesUnreadRequest(t *testing.T) {
	r := newRig(t, Options{}, act("l", proxy.Downstreamward, LimitData{Bytes: fixed(300000)}), act("t", proxy.Upstreamward, Bandwidth{Rate: fixed(1000)}))
	write(t, r.client, make([]byte, 200000))
	go func() { _, _ = r.endpoint.Write(pattern(400000)) }()
	eventually(t, "the toxic ends the connection", func() bool { return r.link.state.Load() != carrying })
	if got, err := readEnd(r.client); !bytes.Equal(got, pattern(300000)) || err != nil {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// TestChangeActsAtOnce: no time passes between a change and its effect but what the machine takes, which BenchmarkChange measures.
func TestChangeActsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := down("t", Timeout{})
		b := newBench(Options{}, hold)
		for range 10 {
			write(t, b.endpoint, []byte("x"))
			time.Sleep(time.Second)
			began := b.elapsed()
			b.slot.Set()
			if _, err := io.ReadFull(b.client, make([]byte, 1)); err != nil || b.elapsed() != began {
				t.Errorf("%v after %v", err, b.elapsed()-began)
			}
			b.slot.Set(hold)
		}
		b.close()
	})
}

func TestPanicIsContained(t *testing.T) {
	r := newRig(t, Options{}, act("p", proxy.Downstreamward, bomb{}))
	write(t, r.endpoint, []byte("boom"))
	if got := r.wait(t); got.Cause != ByPanic || got.Err == nil {
		t.Errorf("%+v", got)
	}
	if _, err := readEnd(r.client); !isReset(err) {
		t.Errorf("client sees %v", err)
	}
}

// bomb is a toxic with a fault of its own.
type bomb struct{ Noop }

func (bomb) New(Site) Shaper {
	return ShaperFunc(func(c Chunk, emit func(Chunk)) {
		if len(c.Data) > 0 {
			panic("boom")
		}
	})
}

func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{Idle: 50 * time.Millisecond}, act("l", proxy.Downstreamward, Latency{Latency: fixed(200)}))
		write(t, b.endpoint, []byte("late"))
		got, err := io.ReadAll(b.client) // what is on its way is waited for
		if string(got) != "late" || err != nil || b.elapsed() != 250*time.Millisecond {
			t.Errorf("%q, %v after %v", got, err, b.elapsed())
		}
		if r := b.close(); r.Cause != ByIdle {
			t.Errorf("%+v", r)
		}
	})
}

func TestIdleTimeoutOfSockets(t *testing.T) {
	r := newRig(t, Options{Idle: 10 * time.Millisecond})
	if got, err := readEnd(r.client); len(got) > 0 || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got := r.wait(t); got.Cause != ByIdle {
		t.Errorf("%+v", got)
	}
}

func TestEndpointGoneWhileClientSends(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{})
	fillUp(r.client) // the link waits to write; a later write of the client's would take the error from its read
	_ = r.endpoint.SetLinger(0)
	r.endpoint.Close()
	_, err := readEnd(r.client)
	if !isReset(err) {
		t.Errorf("client sees %v", err)
	}
	if got := r.wait(t); got.Cause != ByReset || got.Side != EndpointSide {
		t.Errorf("%+v", got)
	}
}
