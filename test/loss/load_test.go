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
	"time"
)

// The server's protocol: a request is the length of the answer in 8 bytes. The answer is so many bytes of content.

const requestSize = 200

// content is what the server sends: the same in each run.
func content(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), n)
}

// serve answers on all connections of l until it is closed.
func serve(l net.Listener) {
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
				if _, err := c.Write(answers[n]); err != nil {
					return
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
	calls       int   // answers of 200 B, on each of several connections
	messages    int   // of 64 KiB, on each of several connections
	connections int
}

// outcome is what a client sees.
type outcome struct {
	goodput  float64 // Mbit/s of the bulk answer
	calls    []time.Duration
	messages []time.Duration // sorted, both
}

// run puts a load on what dial connects to. ready is called when connections stand and before anything is asked.
func run(dial func() (net.Conn, error), l load, ready func()) (outcome, error) {
	var o outcome
	took, err := repeat(dial, 1, 1, l.bulk, ready)
	if err != nil {
		return o, fmt.Errorf("bulk: %w", err)
	}
	o.goodput = float64(l.bulk) * 8 / took[0].Seconds() / 1e6
	if o.calls, err = repeat(dial, l.connections, l.calls, requestSize, ready); err != nil {
		return o, fmt.Errorf("calls: %w", err)
	}
	if o.messages, err = repeat(dial, l.connections, l.messages, 64<<10, ready); err != nil {
		return o, fmt.Errorf("messages: %w", err)
	}
	return o, nil
}

// repeat asks n times for size bytes on each of several connections and returns the sorted times. The bytes are checked.
func repeat(dial func() (net.Conn, error), connections, n int, size int64, ready func()) ([]time.Duration, error) {
	var all []time.Duration
	var mu sync.Mutex
	var failed error
	var w sync.WaitGroup
	hash := sha256.New()
	_, _ = io.Copy(hash, content(size))
	want := hash.Sum(nil)
	conns := make([]net.Conn, connections)
	for i := range conns {
		c, err := dial()
		if err != nil {
			return nil, err
		}
		defer c.Close()
		conns[i] = c
	}
	ready()
	for _, c := range conns {
		w.Go(func() {
			answer := make([]byte, size)
			for range n {
				took, err := ask(c, size, answer)
				if sum := sha256.Sum256(answer); err == nil && !bytes.Equal(sum[:], want) {
					err = errors.New("sha256 differs")
				}
				mu.Lock()
				all = append(all, took)
				failed = errors.Join(failed, err)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	w.Wait()
	slices.Sort(all)
	return all, failed
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
