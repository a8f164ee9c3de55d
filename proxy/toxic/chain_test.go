package toxic

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// receding delays each chunk by less than the one before.
type receding struct {
	Noop
	delays []time.Duration
}

func (r receding) New(Site) Shaper {
	delays := r.delays
	return ShaperFunc(func(c Chunk, emit func(Chunk)) {
		if len(c.Data) > 0 && len(delays) > 0 {
			c.Due = after(c.Due, delays[0])
			delays = delays[1:]
		}
		emit(c)
	})
}

// An end that a toxic adds does not overtake the bytes before it in a toxic behind, not even when the last of them was to leave
// that earlier than those before, as jitter will have it.
func TestInjectedEndDoesNotOvertakeJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slower := &receding{delays: []time.Duration{500 * time.Millisecond, 100 * time.Millisecond}}
		b := newBench(Options{}, down("limit", LimitData{Bytes: fixed(2000)}), down("slower", slower))
		b.send(pattern(3000), 1000, 10*time.Millisecond)
		got, err := io.ReadAll(b.client)
		if len(got) != 2000 || err != nil || b.elapsed() != 500*time.Millisecond {
			t.Errorf("%d bytes after %v, %v", len(got), b.elapsed(), err)
		}
		if r := b.close(); r.Cause != ByToxic || r.Toxic.Name != "limit" {
			t.Errorf("%+v", r)
		}
	})
}

// The end of the source is an entry like any other.
func TestEndDoesNotOvertakeJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{}, down("slower", &receding{delays: []time.Duration{700 * time.Millisecond, 0}}))
		b.send(pattern(2000), 1000, 0)
		got, err := io.ReadAll(b.client)
		if len(got) != 2000 || err != nil || b.elapsed() != 700*time.Millisecond {
			t.Errorf("%d bytes after %v, %v", len(got), b.elapsed(), err)
		}
		if r := b.close(); r.Cause != ByPeers && !errors.Is(r.Err, io.ErrClosedPipe) {
			t.Errorf("%+v", r)
		}
	})
}
