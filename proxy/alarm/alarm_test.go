package alarm

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// rings notes what has been asked for.
type rings []time.Duration

func (r *rings) ring(at time.Duration) { *r = append(*r, at) }

func TestQueue(t *testing.T) {
	const ms = time.Millisecond
	type set struct{ at, now time.Duration }
	for _, c := range []struct {
		name string
		sets []set
		want rings
	}{
		{"first", []set{{5 * ms, 0}}, rings{5 * ms}},
		{"later one waits for the first", []set{{5 * ms, 0}, {7 * ms, 0}}, rings{5 * ms}},
		{"earlier one goes first", []set{{5 * ms, 0}, {3 * ms, 0}}, rings{5 * ms, 3 * ms}},
		{"the same again", []set{{5 * ms, 0}, {5 * ms, 0}, {5 * ms, ms}}, rings{5 * ms}},
		{"next after the first has rung", []set{{5 * ms, 0}, {7 * ms, 0}, {9 * ms, 5 * ms}}, rings{5 * ms, 7 * ms}},
		{"one that has passed lets the next one take its place", []set{{5 * ms, 0}, {7 * ms, 0}, {5 * ms, 6 * ms}}, rings{5 * ms, 7 * ms}},
		{"one that has passed rings nothing", []set{{5 * ms, 6 * ms}}, nil},
		{"all have passed", []set{{5 * ms, 0}, {7 * ms, 0}, {8 * ms, 9 * ms}}, rings{5 * ms}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got rings
			q := queue{bell: &got}
			for _, s := range c.sets {
				q.set(s.at, s.now)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("rings %v, want %v", got, c.want)
			}
		})
	}
}

func TestQueueRingsInOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var got rings
		q := queue{bell: &got}
		var want []time.Duration
		for range 1 + r.IntN(40) {
			at := time.Duration(1 + r.IntN(50))
			want = append(want, at)
			q.set(at, 0)
		}
		slices.Sort(want)
		want = slices.Compact(want)
		got = got[len(got)-1:]
		for now := time.Duration(1); now <= 50; now++ {
			q.set(0, now)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("rings %v, want %v", got, want)
		}
	}
}

func TestQueueIsBounded(t *testing.T) {
	q := queue{bell: &rings{}}
	for i := range 2 * most {
		q.set(time.Hour+time.Duration(i), 0)
	}
	if len(q.times) != most {
		t.Errorf("%d times are kept, want %d", len(q.times), most)
	}
}
