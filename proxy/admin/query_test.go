package admin_test

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy/admin"
)

func TestNewQuery(t *testing.T) {
	for _, c := range []struct {
		name, method, url string
		header            []string
		port              uint16
		head              string
	}{
		{"method defaults", "", "http://h/", nil, 0, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"no path", "GET", "http://h", nil, 0, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"no scheme", "GET", "h:81/a", nil, 81, "GET /a HTTP/1.1\r\nHost: h:81\r\n\r\n"},
		{"query only", "GET", "h?a=b", nil, 0, "GET /?a=b HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"path as typed", "GET", "https://h/%2e/..//a%zz?x#y", nil, 0, "GET /%2e/..//a%zz?x#y HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"IPv6", "GET", "http://[::1]:8080/", nil, 8080, "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"},
		{"own Host", "GET", "http://127.0.0.1:8080/", []string{"host: shop"}, 8080, "GET / HTTP/1.1\r\nhost: shop\r\n\r\n"},
		{"bad host is for the parser", "GET", "http://a b/", nil, 0, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q, err := admin.NewQuery(c.method, c.url, c.header)
			if err != nil || q.Port != c.port || string(q.Head) != c.head {
				t.Errorf("got port %d head %q, %v", q.Port, q.Head, err)
			}
		})
	}
}

func TestNewQueryRefuses(t *testing.T) {
	for _, c := range []struct {
		name, method, url string
		header            []string
		want              string
	}{
		{"nothing", "GET", "", nil, "needs a url"},
		{"scheme", "GET", "ftp://h/", nil, "ftp"},
		{"port", "GET", "http://h:99999/", nil, "99999"},
		{"line end in method", "GET / HTTP/1.1\r\n", "http://h/", nil, "line ends"},
		{"line end in url", "GET", "http://h/\n", nil, "line ends"},
		{"line end in header", "GET", "http://h/", []string{"A: b\rC: d"}, "line ends"},
		{"header without colon", "GET", "http://h/", []string{"A"}, "name: value"},
		{"empty header", "GET", "http://h/", []string{""}, "name: value"},
		{"size", "GET", "http://h/", []string{"a:" + strings.Repeat("a", 40_000)}, "32768"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := admin.NewQuery(c.method, c.url, c.header); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// FuzzNewQuery: whatever comes out is one head, never two requests.
func FuzzNewQuery(f *testing.F) {
	f.Add("GET", "http://h:80/a?b", "A: b")
	f.Add("", "h", "Host: x")
	f.Add("GET", "://?/", "\r\n\r\n")
	f.Fuzz(func(t *testing.T, method, url, header string) {
		q, err := admin.NewQuery(method, url, []string{header})
		if err != nil {
			return
		}
		if !bytes.HasSuffix(q.Head, []byte("\r\n\r\n")) {
			t.Fatalf("unfinished head %q", q.Head)
		}
		r := bufio.NewReader(bytes.NewReader(q.Head))
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		if rest, _ := r.Peek(1); len(rest) != 0 {
			t.Fatalf("something follows the head in %q", q.Head)
		}
	})
}
