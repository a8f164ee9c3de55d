package fault

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// What is done to a response is as the numbers are when it comes, not when its request came, and they are rounded.
func TestResponsesAreShapedAsOfTheirTime(t *testing.T) {
	ramp := func(from, to float64) shape.Value {
		return shape.Value{Base: from, To: to, Wave: shape.Ramp, Period: 10 * time.Second}
	}
	const events = "data: 1\n\ndata: 2\n\ndata: 3\n\n"
	for name, c := range map[string]struct {
		fault   Fault
		content string
		want    [3]string // after 5, 6 and 10 s
		lengths [3]int64
	}{
		"truncated": {TruncateBody{Bytes: ramp(0, 3)}, "abcdef", [...]string{"ab", "ab", "abc"}, [...]int64{6, 6, 6}},
		"broken":    {BrokenChunk{Bytes: ramp(0, 3)}, "abcdef", [...]string{"ab", "ab", "abc"}, [...]int64{-1, -1, -1}},
		"cut":       {CutEvents{Events: ramp(0, 3)}, events, [...]string{events[:18], events[:18], events}, [...]int64{-1, -1, -1}},
		"length":    {WrongContentLength{By: ramp(-1, 1)}, "abcdef", [...]string{"abcdef", "abcdef", "abcdef"}, [...]int64{6, 6, 7}},
	} {
		synctest.Test(t, func(t *testing.T) {
			first, second := c.fault.New(Site{Began: 4 * time.Second}), c.fault.New(Site{Began: 9 * time.Second})
			check := func(i int, s Step) {
				t.Helper()
				x := new(proxy.Exchange)
				x.Response = proxy.Response{Status: 200, ContentLength: int64(len(c.content))}
				x.Response.Header.Add([]byte("Content-Type"), []byte("text/event-stream"))
				got, _ := io.ReadAll(Respond([]Step{s}, x, readerBody{strings.NewReader(c.content)}))
				if string(got) != c.want[i] || x.Response.ContentLength != c.lengths[i] {
					t.Errorf("%s: %q of %d bytes, want %q of %d", name, got, x.Response.ContentLength, c.want[i], c.lengths[i])
				}
			}
			time.Sleep(time.Second)
			check(0, first)
			check(2, second)
			time.Sleep(time.Second)
			check(1, first)
		})
	}
}
