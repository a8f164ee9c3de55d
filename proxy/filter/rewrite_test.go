package filter

import "testing"

func TestRewrite(t *testing.T) {
	for _, c := range []struct {
		name              string
		f                 Rewrite
		wantHost, wantURL string
	}{
		{"nothing", Rewrite{}, "a.com", "/foo/bar?q=1"},
		{"host", Rewrite{Hostname: "b.com"}, "b.com", "/foo/bar?q=1"},
		{"full path", Rewrite{Path: Path{ReplaceFullPath, "/x"}}, "a.com", "/x?q=1"},
		{"empty full path", Rewrite{Path: Path{ReplaceFullPath, ""}}, "a.com", "/?q=1"},
		{"prefix", Rewrite{Path: Path{ReplacePrefix, "/x"}}, "a.com", "/x/bar?q=1"},
		{"host and prefix", Rewrite{"b.com", Path{ReplacePrefix, ""}}, "b.com", "/bar?q=1"},
	} {
		if err := c.f.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		x := exchange("a.com", "/foo/bar", "q=1", "/foo")
		step := c.f.New()
		if step.Request(x) != nil {
			t.Errorf("%s: answered", c.name)
		}
		step.Response(x)
		r := &x.Request
		if string(r.Authority) != c.wantHost || string(r.Host) != c.wantHost {
			t.Errorf("%s: authority %s, host %s, want %s", c.name, r.Authority, r.Host, c.wantHost)
		}
		if got := string(r.Path) + "?" + string(r.Query); got != c.wantURL {
			t.Errorf("%s: %s, want %s", c.name, got, c.wantURL)
		}
	}
}

// TestRewriteKeepsConfiguredBytes runs one step for two Exchanges: what the first one built must not reach the second.
func TestRewriteKeepsConfiguredBytes(t *testing.T) {
	step := Rewrite{Path: Path{ReplacePrefix, "/x"}}.New()
	first, second := exchange("a", "/foo/one", "", "/foo"), exchange("a", "/foo/two", "", "/foo")
	step.Request(first)
	step.Request(second)
	if string(first.Request.Path) != "/x/one" || string(second.Request.Path) != "/x/two" {
		t.Errorf("%s, %s", first.Request.Path, second.Request.Path)
	}
}
