package filter

import (
	"errors"
	"fmt"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/field"
)

// Field is a header field to set or add.
type Field struct {
	Name, Value string
}

// RequestHeaders changes the request on its way upstream (Gateway API, HTTPHeaderFilter). Names are compared without
// regard to case, and each may occur only once in the whole value, so the order of the three lists has no meaning.
//
// Host and the fields that frame the message or belong to one connection cannot be touched: Rewrite changes the host,
// and the rest is the codec's own.
type RequestHeaders struct {
	Set    []Field // in place of all lines of that name
	Add    []Field // a further line
	Remove []string
}

// ResponseHeaders changes the response on its way downstream, also an answer of the proxy itself. Its rules are those
// of RequestHeaders.
type ResponseHeaders struct {
	Set    []Field
	Add    []Field
	Remove []string
}

var (
	_ Filter = RequestHeaders{}
	_ Filter = ResponseHeaders{}
)

// Validate reports names and values that are no HTTP, names that cannot be changed and names that occur twice.
func (f RequestHeaders) Validate() error { return validateHeaders(f.Set, f.Add, f.Remove) }

// Validate is that of RequestHeaders.
func (f ResponseHeaders) Validate() error { return validateHeaders(f.Set, f.Add, f.Remove) }

// Describe implements Filter.
func (f RequestHeaders) Describe() string {
	return describe("requestHeaders", setting{"set", fields(f.Set)}, setting{"add", fields(f.Add)}, setting{"remove", words(f.Remove)})
}

// Describe implements Filter.
func (f ResponseHeaders) Describe() string {
	return describe("responseHeaders", setting{"set", fields(f.Set)}, setting{"add", fields(f.Add)}, setting{"remove", words(f.Remove)})
}

// New makes the step.
func (f RequestHeaders) New() proxy.Step {
	return requestHeaders{newHeaderChange(f.Set, f.Add, f.Remove)}
}

// New makes the step.
func (f ResponseHeaders) New() proxy.Step {
	return responseHeaders{newHeaderChange(f.Set, f.Add, f.Remove)}
}

type requestHeaders struct{ change headerChange }

func (s requestHeaders) Request(x *proxy.Exchange) *proxy.Answer {
	s.change.apply(&x.Request.Header)
	return nil
}

func (requestHeaders) Response(*proxy.Exchange) {}

type responseHeaders struct{ change headerChange }

func (responseHeaders) Request(*proxy.Exchange) *proxy.Answer { return nil }

func (s responseHeaders) Response(x *proxy.Exchange) { s.change.apply(&x.Response.Header) }

// headerChange is the running form of both filters. The byte slices are shared by all Exchanges and never written to.
type headerChange struct {
	remove []string      // also the names to set
	add    []proxy.Field // also the fields to set
}

func newHeaderChange(set, add []Field, remove []string) headerChange {
	var c headerChange
	for _, f := range set {
		c.remove = append(c.remove, f.Name)
		c.add = append(c.add, proxy.Field{Name: []byte(f.Name), Value: []byte(f.Value)})
	}
	for _, f := range add {
		c.add = append(c.add, proxy.Field{Name: []byte(f.Name), Value: []byte(f.Value)})
	}
	c.remove = append(c.remove, remove...)
	return c
}

func (c *headerChange) apply(h *proxy.Header) {
	for _, name := range c.remove {
		h.Del(name)
	}
	for _, f := range c.add {
		h.Add(f.Name, f.Value)
	}
}

func validateHeaders(set, add []Field, remove []string) error {
	var errs []error
	seen := make(map[string]bool)
	name := func(action, name string) {
		lower := strings.ToLower(name)
		switch {
		case !field.IsName(name):
			errs = append(errs, fmt.Errorf("%s: %q is not a field name", action, name))
		case field.IsReserved(lower):
			errs = append(errs, fmt.Errorf("%s: the field %q belongs to the proxy and cannot be changed", action, name))
		case seen[lower]:
			errs = append(errs, fmt.Errorf("%s: the field %q is named more than once", action, name))
		}
		seen[lower] = true
	}
	value := func(action string, f Field) {
		name(action, f.Name)
		if !field.IsValue(f.Value) {
			errs = append(errs, fmt.Errorf("%s: the value %q of %q is not a field value", action, f.Value, f.Name))
		}
	}
	for _, f := range set {
		value("set", f)
	}
	for _, f := range add {
		value("add", f)
	}
	for _, n := range remove {
		name("remove", n)
	}
	return errors.Join(errs...)
}
