package fault

import (
	"io"
	"math"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// BrokenChunk sends a response in chunks (RFC 9112 section 7.1) of which one, after some content or at its end, begins with
// something that is no size; then the connection ends. Clients that know no chunks (HTTP/1.0), and protocols that have none,
// see the response reset.
//
// At Backend the gateway sees its endpoint send that.
type BrokenChunk struct {
	// Bytes of content that come before, at least 0, rounded; as they are when the response comes.
	Bytes shape.Value
}

var _ Fault = BrokenChunk{}

// Type returns "broken_chunk".
func (BrokenChunk) Type() string { return "broken_chunk" }

// Validate implements Fault.
func (f BrokenChunk) Validate() error { return within("bytes", f.Bytes, 0, math.MaxInt64) }

// New implements Fault.
func (f BrokenChunk) New(s Site) Step {
	age := s.age()
	return Step{Body: func(x *proxy.Exchange, b proxy.Body) proxy.Body {
		x.Response.ContentLength = -1
		return &brokenChunk{b, s, f.Bytes.Whole(age()), &proxy.Damage{Side: s.side(), Kind: proxy.Malformed}}
	}}
}

type brokenChunk struct {
	proxy.Body
	site   Site
	left   int64
	damage *proxy.Damage
}

func (c *brokenChunk) Read(p []byte) (int, error) {
	if c.left <= 0 {
		if c.site.inForce() {
			return 0, c.damage
		}
		return c.Body.Read(p)
	}
	n, err := c.Body.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if err == io.EOF && c.site.inForce() {
		c.left, err = 0, nil
		if n == 0 {
			err = c.damage
		}
	}
	return n, err
}
