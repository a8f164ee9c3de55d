package toxic

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// writes is a connection that notes the size of each write to it.
type writes struct {
	*memory
	sizes []int
}

// Write implements net.Conn.
func (w *writes) Write(p []byte) (int, error) {
	w.sizes = append(w.sizes, len(p))
	return w.memory.Write(p)
}

// TestSlicerWritesPieces: each piece is a write of its own, of a size within what was asked for, also without a delay between two.
func TestSlicerWritesPieces(t *testing.T) {
	sent := pattern(10000)
	for name, c := range map[string]struct {
		toxics      []proxy.Toxic
		least, most int // size of a piece, which vary over most of it
	}{
		"all of a size": {[]proxy.Toxic{Slicer{AverageSize: fixed(100)}}, 100, 100},
		"varied":        {[]proxy.Toxic{Slicer{AverageSize: fixed(100), SizeVariation: fixed(30)}}, 70, 130},
		"with a delay":  {[]proxy.Toxic{Slicer{AverageSize: fixed(100), SizeVariation: fixed(30), Delay: fixed(10)}}, 70, 130},
		"as they were":  {[]proxy.Toxic{Slicer{SizeVariation: fixed(30)}}, 10000, 10000},
		"then delayed":  {[]proxy.Toxic{Slicer{AverageSize: fixed(100)}, Latency{Latency: fixed(10)}}, 100, 100},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, near := newMemory(nil, nil)
				far, endpoint := newMemory(nil, nil)
				to, done := &writes{memory: near}, make(chan Result)
				var as []Active
				for _, toxic := range c.toxics {
					as = append(as, down(toxic.Type(), toxic))
				}
				go func() { done <- Link(to, far, NewSlot(as...), Options{}) }()
				write(t, endpoint, sent)
				_ = endpoint.CloseWrite()
				got, err := io.ReadAll(client)
				_, _ = client.Close(), endpoint.Close()
				<-done
				if !bytes.Equal(got, sent) || err != nil {
					t.Fatalf("%d bytes, %v", len(got), err)
				}
				pieces := to.sizes[:max(1, len(to.sizes)-1)] // the last one is what was left
				least, most := slices.Min(pieces), slices.Max(pieces)
				if least < c.least || most > c.most || most-least < (c.most-c.least)*3/4 {
					t.Errorf("%d writes of %d to %d bytes, want %d to %d", len(to.sizes), least, most, c.least, c.most)
				}
			})
		})
	}
}
