package fault

import (
	"errors"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Headers changes the fields of the request, the response or both. Fields that frame the message, route it or belong to one
// connection cannot be touched (see Fields).
type Headers struct {
	Request, Response HeaderChange
}

// HeaderChange removes, then sets, then adds fields. Names are compared without regard to case (RFC 9110 section 5.1).
type HeaderChange struct {
	Set    Fields // in place of all lines of that name
	Add    Fields // further lines
	Remove Names
}

var _ Fault = Headers{}

// Type returns "headers".
func (Headers) Type() string { return "headers" }

// Validate implements Fault.
func (f Headers) Validate() error {
	if f == (Headers{}) {
		return errors.New("request: at least one change of the request or the response is needed")
	}
	return errors.Join(f.Request.validate("request"), f.Response.validate("response"))
}

func (c HeaderChange) validate(attribute string) error {
	return errors.Join(c.Set.validate(attribute+".set"), c.Add.validate(attribute+".add"), c.Remove.validate(attribute+".remove"))
}

// New implements Fault.
func (f Headers) New(Site) Step {
	var s Step
	if f.Request != (HeaderChange{}) {
		s.Request = func(x *proxy.Exchange) { f.Request.apply(&x.Request.Header) }
	}
	if f.Response != (HeaderChange{}) {
		s.Response = func(x *proxy.Exchange) { f.Response.apply(&x.Response.Header) }
	}
	return s
}

func (c HeaderChange) apply(h *proxy.Header) {
	for name := range c.Remove.each {
		h.Del(name)
	}
	for _, f := range c.Set.list() {
		h.Set(f.Name, f.Value)
	}
	for _, f := range c.Add.list() {
		h.Add(f.Name, f.Value)
	}
}
