package loss

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The server's protocol: a request is the length of the answer in 8 bytes. The answer is so many bytes of content.

const requestSize = 200

// content is what the server sends: the same in each run.
func content(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), n)
}

// serve answers on all connections of l until it is closed. sent is called with a connection after each write of up to 64 KiB.
func serve(l net.Listener, sent func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			request := make([]byte, requestSize)
			answers := map[int64][]byte{}
			for {
				if _, err := io.ReadFull(c, request); err != nil {
					return
				}
				n := int64(binary.BigEndian.Uint64(request))
				if answers[n] == nil {
					answers[n], _ = io.ReadAll(content(n))
				}
				for answer := range slices.Chunk(answers[n], 64<<10) {
					if _, err := c.Write(answer); err != nil {
						return
					}
					sent(c)
				}
			}
		}()
	}
}

// ask asks for n bytes and returns how long the answer took.
func ask(c net.Conn, n int64, answer []byte) (time.Duration, error) {
	request := make([]byte, requestSize)
	binary.BigEndian.PutUint64(request, uint64(n))
	began := time.Now()
	if _, err := c.Write(request); err != nil {
		return 0, err
	}
	_, err := io.ReadFull(c, answer[:n])
	return time.Since(began), err
}

// load is what is asked of a path.
type load struct {
	bulk        int64 // bytes in one answer
	streams     int   // such answers, side by side
	calls       int   // answers of 200 B, on each of several connections
	messages    int   // of 64 KiB, on each of several connections
	connections int
}

// outcome is what a client sees.
type outcome struct {
	goodput  float64 // Mbit/s, all bytes of the bulk answers by all times
	calls    []time.Duration
	messages []time.Duration // sorted, both
	left     int             // calls and messages left out because the machine paused
}

// part is one part of a load.
type part int

const (
	bulk part = iota
	calls
	messages
	parts
)

// run puts a load on what dial connects to for each part. ready is called when the connections of a part stand and before
// anything is asked.
func run(dial func(part) (net.Conn, error), l load, ready func()) (outcome, error) {
	var o outcome
	for p, ask := range [parts]struct {
		connections, n int
		size           int64
	}{bulk: {l.streams, 1, l.bulk}, calls: {l.connections, l.calls, requestSize}, messages: {l.connections, l.messages, 64 << 10}} {
		took, left, err := repeat(func() (net.Conn, error) { return dial(part(p)) }, ask.connections, ask.n, ask.size, ready)
		if err != nil {
			return o, fmt.Errorf("part %d: %w", p, err)
		}
		o.left += left
		switch part(p) {
		case bulk:
			var all time.Duration
			for _, t := range took {
				all += t
			}
			o.goodput = float64(l.bulk) * float64(l.streams) * 8 / all.Seconds() / 1e6
		case calls:
			o.calls = took
		case messages:
			o.messages = took
		}
	}
	return o, nil
}

// pauses is how long the machine has kept this process from running in all, in pauses of more than 20 ms.
type pauses struct {
	total atomic.Int64
	stop  chan struct{}
}

func watchPauses() *pauses {
	p := &pauses{stop: make(chan struct{})}
	go func() {
		const nap, longest = 5 * time.Millisecond, 20 * time.Millisecond
		for before := time.Now(); ; {
			select {
			case <-p.stop:
				return
			case <-time.After(nap):
			}
			now := time.Now()
			if late := now.Sub(before) - nap; late > longest {
				p.total.Add(int64(late))
			}
			before = now
		}
	}()
	return p
}

// repeat asks n times for size bytes on each of several connections and returns the sorted times. The bytes are checked. If
// there are several of them, answers are left out during which the machine has paused.
func repeat(dial func() (net.Conn, error), connections, n int, size int64, ready func()) ([]time.Duration, int, error) {
	var all []time.Duration
	var left int
	var failed error
	var mu sync.Mutex // guards all, left and failed
	var w sync.WaitGroup
	hash := sha256.New()
	_, _ = io.Copy(hash, content(size))
	want := hash.Sum(nil)
	conns := make([]net.Conn, connections)
	for i := range conns {
		c, err := dial()
		if err != nil {
			return nil, 0, err
		}
		defer c.Close()
		conns[i] = c
	}
	ready()
	paused := watchPauses()
	defer close(paused.stop)
	for _, c := range conns {
		w.Go(func() {
			answer := make([]byte, size)
			for range n {
				before := paused.total.Load()
				took, err := ask(c, size, answer)
				if sum := sha256.Sum256(answer); err == nil && !bytes.Equal(sum[:], want) {
					err = errors.New("sha256 differs")
				}
				mu.Lock()
				failed = errors.Join(failed, err)
				if n > 1 && paused.total.Load() != before {
					left++
				} else {
					all = append(all, took)
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	w.Wait()
	slices.Sort(all)
	return all, left, failed
}

func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

// slow returns the share of calls that took more than 100 ms above rtt, and the median of what those took above it that lost
// one packet.
func slow(calls []time.Duration, rtt time.Duration) (share float64, mode time.Duration) {
	var extra []time.Duration
	n := 0
	for _, took := range calls {
		if over := took - rtt; over > 100*time.Millisecond {
			n++
			if over < rtt+350*time.Millisecond {
				extra = append(extra, over)
			}
		}
	}
	if len(extra) > 0 {
		mode = percentile(extra, 50)
	}
	return float64(n) / float64(len(calls)), mode
}
