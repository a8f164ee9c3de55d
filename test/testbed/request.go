package testbed

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Request is what Do sends.
type Request struct {
	Port   uint16 // 0 is the port of Ingresses
	Method string // "" is GET
	Host   string
	Path   string // with query
	Header http.Header
	Body   string
	New    bool // on a connection of its own
}

// Response is an answer that has been read to its end. Its methods report a failure to the test and return the Response
// for another look.
type Response struct {
	Status int
	Header http.Header
	Body   string

	t testing.TB
}

// exchangeTimeout ends a request that hangs; no test waits for it.
const exchangeTimeout = 30 * time.Second

// Do sends a request through the proxy and reads the whole answer. Redirects are not followed.
func (b *Bed) Do(q Request) (*Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), exchangeTimeout)
	defer cancel()
	port := q.Port
	if port == 0 {
		port = b.IngressPort
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))
	r, err := http.NewRequestWithContext(ctx, q.Method, "http://"+address+q.Path, strings.NewReader(q.Body))
	if err != nil {
		return nil, err
	}
	for name, values := range q.Header {
		r.Header[name] = values
	}
	r.Host, r.Close = q.Host, q.New
	res, err := b.client.Do(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if closeErr := res.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	return &Response{Status: res.StatusCode, Header: res.Header, Body: string(body), t: b.t}, nil
}

// Send is Do for a request that must be answered.
func (b *Bed) Send(q Request) *Response {
	b.t.Helper()
	res, err := b.Do(q)
	if err != nil {
		b.t.Errorf("%s %s%s: %v", q.Method, q.Host, q.Path, err)
		return &Response{Header: http.Header{}, t: b.t}
	}
	return res
}

// Get sends a GET request to the port of Ingresses. header is names and values in turn.
func (b *Bed) Get(host, path string, header ...string) *Response {
	b.t.Helper()
	return b.Send(Request{Host: host, Path: path, Header: fields(header)})
}

func fields(list []string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(list); i += 2 {
		h.Add(list[i], list[i+1])
	}
	return h
}

// Served wants a 200 of the backend called name.
func (r *Response) Served(name string) *Response {
	r.t.Helper()
	if got := r.Header.Get(NameHeader); r.Status != http.StatusOK || got != name {
		r.t.Errorf("got %d by %q with body %q, want 200 by %q", r.Status, got, r.Body, name)
	}
	return r
}

// Refused wants an answer of the proxy itself: this status, with a short plain body that ends in a line end.
func (r *Response) Refused(status int) *Response {
	r.t.Helper()
	if r.Status != status || r.Header.Get(NameHeader) != "" {
		r.t.Errorf("got %d by %q, want %d by the proxy", r.Status, r.Header.Get(NameHeader), status)
	}
	if n := len(r.Body); n == 0 || n > 200 || !strings.HasSuffix(r.Body, "\n") || strings.ContainsAny(r.Body, "<>") {
		r.t.Errorf("the body is not short and plain: %q", r.Body)
	}
	if ct := r.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/plain") {
		r.t.Errorf("Content-Type is %q", ct)
	}
	return r
}

// Field wants a response field to have this value.
func (r *Response) Field(name, want string) *Response {
	r.t.Helper()
	if got := r.Header.Get(name); got != want {
		r.t.Errorf("%s is %q, want %q", name, got, want)
	}
	return r
}
