package filter

import (
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// TestReplacePrefix holds the table of Gateway API's HTTPPathModifier first.
func TestReplacePrefix(t *testing.T) {
	for _, c := range []struct{ path, prefix, value, want string }{
		{"/foo/bar", "/foo", "/xyz", "/xyz/bar"},
		{"/foo/bar", "/foo", "/xyz/", "/xyz/bar"},
		{"/foo/bar", "/foo/", "/xyz", "/xyz/bar"},
		{"/foo/bar", "/foo/", "/xyz/", "/xyz/bar"},
		{"/foo", "/foo", "/xyz", "/xyz"},
		{"/foo/", "/foo", "/xyz", "/xyz/"},
		{"/foo/bar", "/foo", "", "/bar"},
		{"/foo/", "/foo", "", "/"},
		{"/foo", "/foo", "", "/"},
		{"/foo/", "/foo", "/", "/"},
		{"/foo", "/foo", "/", "/"},

		{"/foo", "/foo/", "/xyz/", "/xyz"},
		{"/bar", "/", "/xyz", "/xyz/bar"},
		{"/bar", "", "/xyz", "/xyz/bar"},
		{"/", "/", "/xyz", "/xyz/"},
		{"/", "/", "", "/"},
		{"/foobar", "/foo", "/xyz", "/foobar"}, // not below the prefix: another filter has been there
		{"/a%2Fb/c", "/a%2Fb", "/x%20y", "/x%20y/c"},
	} {
		x := exchange("a", c.path, "", c.prefix)
		rewrite := Rewrite{Path: Path{ReplacePrefix, c.value}}
		if err := rewrite.Validate(); err != nil {
			t.Errorf("%q: %v", c.value, err)
		}
		if rewrite.New().Request(x); string(x.Request.Path) != c.want {
			t.Errorf("%s with %q for %q: %s, want %s", c.path, c.value, c.prefix, x.Request.Path, c.want)
		}
		x = exchange("a", c.path, "", c.prefix)
		answer := Redirect{Path: Path{ReplacePrefix, c.value}}.New().Request(x)
		if got := string(answer.Header[0].Value); got != "http://a"+c.want {
			t.Errorf("redirect of %s with %q for %q: %s", c.path, c.value, c.prefix, got)
		}
	}
}

func TestReplacePrefixNeedsPrefix(t *testing.T) {
	for _, route := range []*proxy.Route{
		nil,
		{Match: proxy.Match{Path: proxy.PathMatch{Type: proxy.PathExact, Value: "/foo"}}},
		{Match: proxy.Match{Path: proxy.PathMatch{Type: proxy.PathRegex, Value: "/foo"}}},
	} {
		x := exchange("a", "/foo", "", "")
		x.Route = route
		if (Rewrite{Path: Path{ReplacePrefix, "/xyz"}}).New().Request(x); string(x.Request.Path) != "/foo" {
			t.Errorf("%+v: %s", route, x.Request.Path)
		}
	}
}

func TestPathValidate(t *testing.T) {
	for _, c := range []struct {
		path Path
		want string // in the message; "" is valid
	}{
		{Path{}, ""},
		{Path{ReplaceFullPath, ""}, ""},
		{Path{ReplaceFullPath, "/"}, ""},
		{Path{ReplacePrefix, "/a/b.c;d=1,2/~e:@!$&'()*+=/%2f/..."}, ""},
		{Path{ReplaceFullPath, "/a/"}, ""},
		{Path{PathMode(9), ""}, "mode 9"},
		{Path{KeepPath, "/a"}, "replaces nothing"},
		{Path{ReplaceFullPath, "a"}, "does not begin with a slash"},
		{Path{ReplaceFullPath, "//evil.example"}, "empty element"},
		{Path{ReplaceFullPath, "//"}, "empty element"},
		{Path{ReplaceFullPath, "/a//b"}, "empty element"},
		{Path{ReplaceFullPath, "/a/../b"}, `element ".."`},
		{Path{ReplaceFullPath, "/.%2E"}, `element ".%2E"`},
		{Path{ReplaceFullPath, "/."}, `element "."`},
		{Path{ReplaceFullPath, "/../"}, `element ".."`},
		{Path{ReplaceFullPath, "/a?b"}, "'?'"},
		{Path{ReplaceFullPath, "/a#b"}, "'#'"},
		{Path{ReplaceFullPath, "/a b"}, "' '"},
		{Path{ReplaceFullPath, "/a\r\nb"}, `'\r'`},
		{Path{ReplaceFullPath, `/\evil.example`}, `'\\'`},
		{Path{ReplaceFullPath, "/é"}, "percent-encoded"},
		{Path{ReplaceFullPath, "/%"}, "hexadecimal"},
		{Path{ReplaceFullPath, "/%2"}, "hexadecimal"},
		{Path{ReplaceFullPath, "/%zz"}, "hexadecimal"},
	} {
		for _, err := range []error{c.path.Validate(), Rewrite{Path: c.path}.Validate(), Redirect{Path: c.path}.Validate()} {
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: %v, want %q", c.path, err, c.want)
			}
		}
	}
}

func TestHostnameValidate(t *testing.T) {
	label := strings.Repeat("a", 63)
	for name, valid := range map[string]bool{
		"": true, "a": true, "a-b.example.com": true, "10.0.0.1": true, label + ".com": true,
		"A.com": false, "*.com": false, "a.com:80": false, "a..com": false, "a.com.": false, "-a.com": false, "a-.com": false,
		"a_b.com": false, "a.com/": false, "user@a.com": false, "[::1]": false, "a\r\nb": false, label + "a.com": false,
		strings.Repeat("a.", 127): false, "é.com": false,
	} {
		for _, err := range []error{Rewrite{Hostname: name}.Validate(), Redirect{Hostname: name}.Validate()} {
			if (err == nil) != valid {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}
