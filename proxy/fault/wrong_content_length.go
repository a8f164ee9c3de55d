package fault

import (
	"errors"
	"io"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// WrongContentLength declares a Content-Length (RFC 9110 section 8.6) that is not the content's. Responses whose length is not
// known beforehand, and those without content, pass as they are.
//
// If it is too long, the message never comes to its end: the connection ends before. If it is too short the rest of the content
// follows the message. The client is told that the connection ends (RFC 9112 section 9.6), so that it does not wait there
// for another response, for which the rest could be taken; then the connection ends.
//
// At Backend the gateway sees it of its endpoint: content that breaks off, or content that ends early while its connection is
// of no more use.
type WrongContentLength struct {
	// By how much the declared length differs, -1,048,576 to 1,048,576 bytes, not 0 for ever, rounded; as it is when the response
	// comes, which passes as it is at 0. A length never becomes negative.
	By shape.Value
}

var _ Fault = WrongContentLength{}

const maxWrongBy = 1 << 20

// Type returns "wrong_content_length".
func (WrongContentLength) Type() string { return "wrong_content_length" }

// Validate implements Fault.
func (f WrongContentLength) Validate() error {
	if f.By == (shape.Value{}) {
		return errors.New("by: 0 changes nothing")
	}
	return within("by", f.By, -maxWrongBy, maxWrongBy)
}

// New implements Fault.
func (f WrongContentLength) New(s Site) Step {
	age := s.age()
	return Step{Body: func(x *proxy.Exchange, b proxy.Body) proxy.Body {
		r, by := &x.Response, f.By.Whole(age())
		if r.ContentLength < 0 || by == 0 {
			return b
		}
		length := r.ContentLength
		r.ContentLength = max(length+by, 0)
		if by > 0 {
			return &cutShort{b, &proxy.Damage{Side: s.side(), Kind: proxy.CutOff}}
		}
		if s.At == proxy.Client {
			r.Close = true
		}
		return &overlong{b, r.ContentLength, length - r.ContentLength, s.At}
	}}
}

// cutShort is a Body that breaks off where it would end.
type cutShort struct {
	proxy.Body
	damage *proxy.Damage
}

func (c *cutShort) Read(p []byte) (int, error) {
	n, err := c.Body.Read(p)
	if err == io.EOF {
		err = c.damage
		if n > 0 {
			err = nil // at the next call
		}
	}
	return n, err
}

// overlong is a Body with more content than was declared.
type overlong struct {
	proxy.Body
	left, surplus int64
	at            proxy.Point
}

func (o *overlong) Read(p []byte) (int, error) {
	if o.left > 0 {
		n, err := o.Body.Read(p[:min(int64(len(p)), o.left)])
		o.left -= int64(n)
		return n, err
	}
	if o.at == proxy.AtBackend { // the gateway reads what was declared and no more
		return 0, io.EOF
	}
	rest := make([]byte, o.surplus)
	n, err := io.ReadFull(o.Body, rest)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return 0, err
	}
	return 0, &proxy.Damage{Side: proxy.Downstream, Kind: proxy.Overlong, Surplus: rest[:n]}
}
