package admin_test

import (
	"cmp"
	"slices"
	"strconv"
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

// FuzzNewQuery: whatever comes out is one head of the lines that were asked for, and nothing else.
func FuzzNewQuery(f *testing.F) {
	f.Add("GET", "http://h:80/a?b", "A: b")
	f.Add("", "h", "Host: x")
	f.Add("POST", "https://[::1]:443?q", "Content-Length: 5")
	f.Add("PUT", "h", "A: b\r\nC: d")
	f.Add("GET", "://?/", "\r\n\r\n")
	f.Fuzz(func(t *testing.T, method, url, header string) {
		q, err := admin.NewQuery(method, url, []string{header})
		if err != nil {
			return
		}
		head := string(q.Head)
		lines := strings.Split(head, "\r\n")
		if len(lines) == 5 {
			lines = slices.Delete(lines, 2, 3) // Host
		}
		first := cmp.Or(method, "GET") + " /"
		if len(lines) != 4 || !strings.HasPrefix(lines[0], first) || !strings.HasSuffix(lines[0], " HTTP/1.1") || lines[1] != header ||
			lines[2] != "" || lines[3] != "" || strings.Count(head, "\n")+strings.Count(head, "\r") != 2*strings.Count(head, "\r\n") {
			t.Fatalf("%q %q %q: %q", method, url, header, head)
		}
		path := strings.TrimSuffix(strings.TrimPrefix(lines[0], first), " HTTP/1.1")
		host, hasHost := strings.CutPrefix(strings.Split(head, "\r\n")[2], "Host: ")
		if !strings.HasSuffix(url, path) || hasHost && !strings.HasSuffix(url, host+path) && !strings.HasSuffix(url, host+"/"+path) {
			t.Errorf("%q: path %q of host %q", url, path, host)
		}
		_, port, _ := strings.Cut(host, ":")
		if n, err := strconv.ParseUint(port, 10, 16); err == nil && uint16(n) != q.Port {
			t.Errorf("%q: port %d", url, q.Port)
		}
	})
}
