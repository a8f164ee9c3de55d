package toxic

import (
	"slices"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// TestALimitWaitsForAByte: a limit that no byte has reached ends nothing by itself, so that a request passes where its answer may not,
// and a connection on which nothing happens stays as it is when its limit is lowered.
func TestALimitWaitsForAByte(t *testing.T) {
	replaced := func(old *limiter, limit float64) Shaper {
		s := LimitData{Bytes: fixed(limit)}.New(Site{})
		s.(Heir).Inherit(old, 0)
		return s
	}
	opening, bytes, end := Chunk{Open: true}, Chunk{Data: make([]byte, 10)}, Chunk{End: FIN}
	const open, passed, cut, finished = "open", "passed", "cut", "finished"
	for name, c := range map[string]struct {
		shaper Shaper
		chunks []Chunk
		want   []string
	}{
		"nothing may pass":          {LimitData{}.New(Site{}), []Chunk{opening, bytes}, []string{open, cut}},
		"nothing comes":             {LimitData{}.New(Site{}), []Chunk{opening, end}, []string{open, finished}},
		"reached":                   {LimitData{Bytes: fixed(10)}.New(Site{}), []Chunk{opening, bytes}, []string{open, passed, cut}},
		"lowered":                   {replaced(&limiter{passed: 10}, 5), []Chunk{opening, bytes}, []string{open, cut}},
		"lowered, and nothing":      {replaced(&limiter{passed: 10}, 5), []Chunk{opening}, []string{open}},
		"lowered when reached":      {replaced(&limiter{passed: 10, isOver: true}, 5), []Chunk{opening}, []string{cut}},
		"raised when reached":       {replaced(&limiter{passed: 10, isOver: true}, 25), []Chunk{opening, bytes, bytes}, []string{open, passed, passed, cut}},
		"raised, and one more byte": {replaced(&limiter{passed: 10, isOver: true}, 11), []Chunk{opening, bytes}, []string{open, passed, cut}},
	} {
		var got []string
		for _, chunk := range c.chunks {
			c.shaper.Shape(chunk, func(out Chunk) {
				if len(out.Data) > 0 && out.Due != Never {
					got = append(got, passed)
				}
				switch {
				case out.Due == Never: // withheld
				case out.Injected:
					got = append(got, cut)
				case out.End != None:
					got = append(got, finished)
				case out.Open:
					got = append(got, open)
				}
			})
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestARequestPassesWhereItsAnswerMayNot: the usual way to see what a client does that does not know whether its request was done.
func TestARequestPassesWhereItsAnswerMayNot(t *testing.T) {
	r := newRig(t, Options{}, act("limit", proxy.Downstreamward, LimitData{}))
	if _, err := r.client.Write([]byte("pay")); err != nil {
		t.Fatal(err)
	}
	_ = r.endpoint.SetReadDeadline(time.Now().Add(10 * time.Second))
	var got [3]byte
	if n, err := r.endpoint.Read(got[:]); string(got[:n]) != "pay" {
		t.Fatalf("the endpoint got %q, %v", got[:n], err)
	}
	if _, err := r.endpoint.Write([]byte("paid")); err != nil {
		t.Fatal(err)
	}
	if n, err := r.client.Read(got[:]); n > 0 || err == nil {
		t.Errorf("the client got %q", got[:n])
	}
}
