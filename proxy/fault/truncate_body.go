package fault

import (
	"math"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// TruncateBody breaks a response off after some of its content. What is no longer than that passes whole. The client sees an
// incomplete message (RFC 9112 section 8), unless the message has no other end than its connection's (HTTP/1.0 without
// Content-Length) and that is closed in an orderly way.
//
// At Backend the gateway sees its endpoint break off.
type TruncateBody struct {
	// Bytes of content that pass, at least 0, rounded; as they are when the response comes.
	Bytes shape.Value
	// Reset ends the connection with RST; otherwise it ends with FIN.
	Reset bool
}

var _ Fault = TruncateBody{}

// Type returns "truncate_body".
func (TruncateBody) Type() string { return "truncate_body" }

// Validate implements Fault.
func (f TruncateBody) Validate() error { return within("bytes", f.Bytes, 0, math.MaxInt64) }

// New implements Fault.
func (f TruncateBody) New(s Site) Step {
	age := s.age()
	return Step{Body: func(x *proxy.Exchange, b proxy.Body) proxy.Body {
		length, passing := x.Response.ContentLength, f.Bytes.Whole(age())
		if length >= 0 && length <= passing {
			return b
		}
		return &truncated{b, s, passing, length >= 0, &proxy.Damage{Side: s.side(), Kind: proxy.CutOff, Reset: f.Reset}}
	}}
}

// truncated is a Body that breaks off.
type truncated struct {
	proxy.Body
	site    Site
	left    int64
	certain bool // there is more than that
	damage  *proxy.Damage
}

func (t *truncated) Read(p []byte) (int, error) {
	switch {
	case len(p) == 0:
		return 0, nil
	case t.left > 0:
		n, err := t.Body.Read(p[:min(int64(len(p)), t.left)])
		t.left -= int64(n)
		return n, err
	case !t.site.inForce():
		return t.Body.Read(p)
	case t.certain:
		return 0, t.damage
	}
	n, err := t.Body.Read(p[:1])
	if n == 0 || !t.site.inForce() {
		return n, err
	}
	t.certain = true
	return 0, t.damage
}
