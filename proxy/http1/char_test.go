package http1

import (
	"bytes"
	"testing"
)

// TestValueLen puts every byte at every place of a value.
func TestValueLen(t *testing.T) {
	for n := range 40 {
		for at := range n {
			for c := range 256 {
				p := append(bytes.Repeat([]byte{'a', 0xff, '\t', ' '}, 10)[:n:n], "\r\n\r\n\r\n\r\n"...)
				p[at] = byte(c)
				want := n
				if c < ' ' && c != '\t' || c == 0x7f {
					want = at
				}
				if got := valueLen(p); got != want {
					t.Fatalf("%q: %d, want %d", p, got, want)
				}
				if got := valueLen(p[:n]); got != want {
					t.Fatalf("%q: %d, want %d", p[:n], got, want)
				}
			}
		}
	}
}
