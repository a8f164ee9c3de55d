package http1

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// headCase is a request head and what parseRequest makes of it: want in the form of summary, or the refusal.
type headCase struct {
	name, head string
	want       string
	err        *Refusal
}

// accepts and refuses make tables short.
func accepts(name, head, want string) headCase { return headCase{name, head, want, nil} }

func refuses(name, head string, err *Refusal) headCase { return headCase{name, head, "", err} }

// runHeads runs a table. Each head is parsed in one piece and at every prefix: a prefix of an accepted head needs more, a
// prefix of a refused one needs more or is refused for the same reason.
func runHeads(t *testing.T, lim Limits, cases []headCase) {
	t.Helper()
	lim = lim.withDefaults()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, f, more, err := parseHead(c.head, &lim)
			switch {
			case more:
				t.Fatalf("%.300q: wants more", c.head)
			case c.err != nil && err != error(c.err):
				t.Fatalf("%.300q: got %v, want refusal %q", c.head, err, c.err)
			case c.err == nil && err != nil:
				t.Fatalf("%.300q: refused: %v", c.head, err)
			case c.err == nil && summary(r, &f) != c.want:
				t.Fatalf("%.300q:\n got %s\nwant %s", c.head, summary(r, &f), c.want)
			}
			end := len(c.head)
			if err == nil {
				end = f.size
			}
			for n := range end {
				if _, _, more, perr := parseHead(c.head[:n], &lim); !more && (err == nil || perr != err) {
					t.Fatalf("%.300q: prefix of %d bytes: got %v, want more or %v", c.head, n, perr, err)
				}
			}
		})
	}
}

// parseHead parses a copy of head that has nothing behind it to read.
func parseHead(head string, lim *Limits) (*proxy.Request, requestFraming, bool, error) {
	p := bytes.Clone([]byte(head))
	r := &proxy.Request{}
	f, more, err := parseRequest(p[:len(p):len(p)], r, lim)
	return r, f, more, err
}

// summary shows all that parsing tells of a request: "METHOD authority host path [?query] 1.minor | framing | fields".
func summary(r *proxy.Request, f *requestFraming) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s %s", r.Method, r.Authority, r.Host, r.Path)
	if r.HasQuery {
		fmt.Fprintf(&b, "?%s", r.Query)
	}
	fmt.Fprintf(&b, " 1.%d |", r.Minor)
	flag := func(on bool, name string) {
		if on {
			b.WriteString(" " + name)
		}
	}
	flag(f.keepAlive, "keep")
	flag(f.chunked, "chunked")
	flag(r.ContentLength > 0, fmt.Sprintf("length=%d", r.ContentLength))
	flag(r.Expect, "expect")
	flag(r.Trailers, "trailers")
	flag(len(r.Upgrade) > 0, "upgrade="+string(r.Upgrade))
	b.WriteString(" |")
	for _, h := range r.Header.Fields {
		fmt.Fprintf(&b, " %s=%q", h.Name, h.Value)
	}
	return b.String()
}

// lines joins lines with CRLF and ends the head.
func lines(l ...string) string { return strings.Join(l, "\r\n") + "\r\n\r\n" }

// get is a GET request with fields behind Host.
func get(fields ...string) string {
	return lines(append([]string{"GET / HTTP/1.1", "Host: h"}, fields...)...)
}

// post is a POST request with fields behind Host.
func post(fields ...string) string {
	return lines(append([]string{"POST / HTTP/1.1", "Host: h"}, fields...)...)
}
