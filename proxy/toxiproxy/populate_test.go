package toxiproxy

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
)

func TestPopulateSaysWhichProxyItMeans(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := serve(t, Config{Routes: &routes{set: map[string]string{}}, Ports: PortRange{1024, 65535}})
	for _, c := range []struct {
		entry  string
		status int
		want   string
	}{
		{`{"listen":6379,"name":"db"}`, 400, `bad request body: listen: a JSON number is not what is expected here at proxy 2 (\"db\")`},
		{`{"name":6379}`, 400, `bad request body: name: a JSON number is not what is expected here at proxy 2"`},
		{`[]`, 400, `bad request body: content: a JSON array is not what is expected here at proxy 2"`},
		{`null`, 400, `missing required field: name at proxy 2"`},
		{`{"name":"db"}`, 400, `missing required field: upstream at proxy 2 (\"db\")`},
		{`{"name":"db","upstream":"x:1","listen":"nonsense"}`, 500, `address nonsense: missing port in address at proxy 2 (\"db\")`},
		{`{"name":"db","upstream":"x:1","listen":"127.0.0.1:80"}`, 400, `that this API may bind at proxy 2 (\"db\")`},
		{`{"name":"shop.db","upstream":"x:1","listen":"127.0.0.1:0"}`, 409, `proxy already exists at proxy 2 (\"shop.db\")`},
		{fmt.Sprintf(`{"name":"db","upstream":"x:1","listen":%q}`, taken.Addr()), 500, `address already in use at proxy 2 (\"db\")`},
	} {
		status, body := ask(s, "POST", "/populate", `[{"name":"first","listen":"127.0.0.1:0","upstream":"x:1"},`+c.entry+`]`)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s\nwant %d %s", c.entry, status, body, c.status, c.want)
		}
	}
}

func TestPopulateEnablesUnlessItIsToldNotTo(t *testing.T) {
	s := serve(t, Config{})
	for enabled, want := range map[string]bool{``: true, `,"enabled":null`: true, `,"enabled":true`: true, `,"enabled":false`: false} {
		ask(s, "DELETE", "/proxies/db", "")
		status, body := ask(s, "POST", "/populate", `[{"name":"db","listen":"127.0.0.1:0","upstream":"x:1"`+enabled+`}]`)
		if status != 201 || !strings.Contains(body, fmt.Sprintf(`"enabled":%v`, want)) {
			t.Errorf("%s: %d %s", enabled, status, body)
		}
	}
}

// FuzzPopulate: of a configuration file all proxies are made, or none.
func FuzzPopulate(f *testing.F) {
	f.Add(`[{"name":"q","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}]`)
	f.Add(`[{"name":"q","listen":"127.0.0.1:0","upstream":"a","enabled":false,"x":1},{"NAME":"q","listen":"127.0.0.1:0","upstream":"b"}] more`)
	f.Add(`[{"name":"q","listen":"127.0.0.1:0","upstream":"a"},{"name":"a/b","upstream":"b"}]`)
	f.Add(`[null]`)
	f.Fuzz(func(t *testing.T, file string) {
		if bindsElsewhere(file) {
			return
		}
		s := New(Config{Log: slog.New(slog.DiscardHandler), Seed: 1})
		defer s.Close()
		err := s.Populate(strings.NewReader(file))
		got := s.all()
		if err != nil {
			if len(got) > 0 {
				t.Errorf("%s: %v, and %v", file, err, got)
			}
			return
		}
		var entries []proxyInput
		if err := json.NewDecoder(strings.NewReader(file)).Decode(&entries); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		want := map[string]string{}
		for _, in := range entries {
			if err := in.check(); err != nil {
				t.Errorf("%s: %v, and it is made", file, err)
			}
			want[in.Name] = in.Upstream
		}
		for name, upstream := range want {
			if got[name].Upstream != upstream || len(got) != len(want) {
				t.Errorf("%s: %v", file, got)
			}
		}
	})
}
