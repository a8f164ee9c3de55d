package http1

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
)

// What is written in two parts arrives whole, however little of it goes out at once.
func TestTwoPartsArriveWhole(t *testing.T) {
	noise := rand.NewChaCha8([32]byte{})
	bytesOf := func(n int) []byte {
		p := make([]byte, n)
		_, _ = noise.Read(p)
		return p
	}
	near, far := tcpPair(t)
	in, out := link()
	for name, pair := range map[string][2]*sock{"TCP": {near, far}, "other": {newSock(in), newSock(out)}} {
		for _, c := range []struct{ p, q int }{{0, 0}, {0, 5}, {5, 0}, {5, 5}, {1, 10 << 20}, {10 << 20, 1}, {7 << 20, 5 << 20}} {
			p, q := bytesOf(c.p), bytesOf(c.q)
			want := append(bytes.Clone(p), q...)
			failed := make(chan error, 1)
			go func() {
				n, err := pair[0].write2(p, q)
				if n != int64(len(want)) && err == nil {
					err = io.ErrShortWrite
				}
				failed <- err
			}()
			got := make([]byte, len(want))
			if _, err := io.ReadFull(pair[1].nc, got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%s: %d and %d bytes have not arrived: %v", name, c.p, c.q, err)
			}
			if err := <-failed; err != nil {
				t.Errorf("%s: %d and %d bytes: %v", name, c.p, c.q, err)
			}
		}
	}
}
