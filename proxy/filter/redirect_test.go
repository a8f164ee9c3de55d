package filter

import (
	"net/url"
	"strings"
	"testing"
)

func TestRedirect(t *testing.T) {
	for _, c := range []struct {
		name         string
		f            Redirect
		scheme, host string // of the request, the host with its port
		path, query  string
		status       int
		location     string
	}{
		{"everything from the request", Redirect{}, "http", "a.com", "/p", "q=1", 302, "http://a.com/p?q=1"},
		{"scheme: well-known port, listener port or not", Redirect{Scheme: "https", ListenerPort: 8080},
			"http", "a.com:8080", "/p", "", 302, "https://a.com/p"},
		{"scheme http on an https listener", Redirect{Scheme: "http", ListenerPort: 443}, "https", "a.com", "/", "", 302, "http://a.com/"},
		{"host", Redirect{Hostname: "b.com", Status: 301, ListenerPort: 80}, "http", "a.com", "/p", "", 301, "http://b.com/p"},
		{"no scheme: the listener's port", Redirect{Hostname: "b.com", ListenerPort: 8080}, "http", "a.com", "/p", "", 302, "http://b.com:8080/p"},
		{"no scheme, https listener on 443", Redirect{ListenerPort: 443}, "https", "a.com:443", "/p", "", 302, "https://a.com/p"},
		{"no scheme, https listener on 8443", Redirect{ListenerPort: 8443}, "https", "a.com", "/p", "", 302, "https://a.com:8443/p"},
		{"no scheme, http listener on 443", Redirect{ListenerPort: 443}, "http", "a.com", "/p", "", 302, "http://a.com:443/p"},
		{"no listener port: the client's", Redirect{}, "http", "a.com:10080", "/p", "", 302, "http://a.com:10080/p"},
		{"port", Redirect{Port: 8083, ListenerPort: 80}, "http", "a.com", "/p", "", 302, "http://a.com:8083/p"},
		{"port 80 with http is left out", Redirect{Port: 80, ListenerPort: 8080}, "http", "a.com:8080", "/p", "", 302, "http://a.com/p"},
		{"port 443 with https is left out", Redirect{Scheme: "https", Port: 443}, "http", "a.com", "/p", "", 302, "https://a.com/p"},
		{"port 443 with http is not", Redirect{Port: 443}, "http", "a.com", "/p", "", 302, "http://a.com:443/p"},
		{"port 80 with https is not", Redirect{Scheme: "https", Port: 80}, "http", "a.com", "/p", "", 302, "https://a.com:80/p"},
		{"scheme and port", Redirect{Scheme: "https", Port: 8443}, "http", "a.com", "/p", "", 302, "https://a.com:8443/p"},
		{"full path, query kept", Redirect{Path: Path{ReplaceFullPath, "/new"}, Status: 308}, "http", "a.com", "/p", "q=%20&r", 308, "http://a.com/new?q=%20&r"},
		{"status 303", Redirect{Status: 303}, "http", "a.com", "/p", "", 303, "http://a.com/p"},
		{"status 307", Redirect{Status: 307}, "http", "a.com", "/p", "", 307, "http://a.com/p"},
		{"IPv6", Redirect{Scheme: "https"}, "http", "[::1]:80", "/p", "", 302, "https://[::1]/p"},
		{"IPv6 without port", Redirect{}, "http", "[::1]", "/p", "", 302, "http://[::1]/p"},
		{"IPv6 with port", Redirect{}, "http", "[::1]:81", "/p", "", 302, "http://[::1]:81/p"},
		{"slashes in front stay in the path", Redirect{}, "http", "a.com", "//evil.example", "", 302, "http://a.com//evil.example"},
		{"bytes that a URL cannot hold", Redirect{}, "http", "a.com", "/a b\r\n\x00\"<\\é?#", "a b\r\n#?", 302,
			"http://a.com/a%20b%0D%0A%00%22%3C%5C%C3%A9%3F%23?a%20b%0D%0A%23?"},
		{"no host", Redirect{Scheme: "https"}, "http", "", "/p", "", 400, ""},
		{"no host but one configured", Redirect{Hostname: "b.com"}, "http", "", "/p", "", 302, "http://b.com/p"},
		{"host with a line break", Redirect{}, "http", "a.com\r\nb:c", "/p", "", 400, ""},
		{"host with user information", Redirect{}, "http", "a.com@evil.example", "/p", "", 400, ""},
		{"host with a path", Redirect{}, "http", "evil.example/a.com", "/p", "", 400, ""},
	} {
		if err := c.f.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		x := exchange(c.host, c.path, c.query, "/")
		x.Request.Scheme = c.scheme
		if at := strings.LastIndexByte(c.host, ':'); at > strings.LastIndexByte(c.host, ']') {
			x.Request.Host = x.Request.Host[:at]
		}
		if strings.ContainsAny(c.host, "\r") {
			x.Request.Host = []byte(c.host)
		}
		answer := c.f.New().Request(x)
		location := ""
		if len(answer.Header) > 0 {
			location = string(answer.Header[0].Value)
		}
		if answer.Status != c.status || location != c.location {
			t.Errorf("%s: %d %s, want %d %s", c.name, answer.Status, location, c.status, c.location)
		}
	}
}

func TestRedirectKeepsBareQuestionMark(t *testing.T) {
	x := exchange("a.com", "/p", "", "/")
	x.Request.HasQuery = true
	if got := string(Redirect{}.New().Request(x).Header[0].Value); got != "http://a.com/p?" {
		t.Error(got)
	}
}

func TestRedirectValidate(t *testing.T) {
	for _, f := range []Redirect{{Scheme: "ftp"}, {Scheme: "HTTPS"}, {Status: 200}, {Status: 304}, {Status: 300}, {Status: -1}} {
		if f.Validate() == nil {
			t.Errorf("%+v is valid", f)
		}
	}
}

// FuzzLocation: whatever the request holds, Location is one line, an absolute URL with the request's own host, and
// nothing of path or query comes to stand elsewhere.
func FuzzLocation(f *testing.F) {
	f.Add("a.com", "/p", "q=1", "/x")
	f.Add("a.com@b", "//b\r\nc", "#", "")
	f.Add("[::1]", "/%41?#", "\x00", "/%20")
	f.Fuzz(func(t *testing.T, host, path, query, value string) {
		filter := Redirect{Path: Path{ReplacePrefix, value}}
		if filter.Validate() != nil || !strings.HasPrefix(path, "/") {
			return
		}
		answer := filter.New().Request(exchange(host, path, query, "/"))
		if answer.Status == 400 {
			return
		}
		location := string(answer.Header[0].Value)
		for i := range len(location) {
			if location[i] <= ' ' || location[i] >= 0x7f {
				t.Fatalf("%q", location)
			}
		}
		rest, ok := strings.CutPrefix(location, "http://"+host)
		if !ok || !strings.HasPrefix(rest, "/") && !strings.HasPrefix(rest, ":") || strings.Contains(location, "#") {
			t.Fatalf("%q for host %q", location, host)
		}
		u, err := url.Parse(location)
		if err != nil {
			return // a bad escape or port in the request, which the codec refuses before
		}
		if u.User != nil || u.Fragment != "" || u.Scheme != "http" || strings.Contains(u.Hostname(), "/") {
			t.Fatalf("%q", location)
		}
	})
}
