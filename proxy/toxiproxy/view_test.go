package toxiproxy

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/breakwater-gateway/breakwater/proxy/chaos"
)

// fixedRoutes are Routes of which one may not be broken.
type fixedRoutes []Route

func (f fixedRoutes) Routes() []Route                 { return f }
func (fixedRoutes) SetToxics(string, []*chaos.Manual) {}

func TestToxicsAreListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // time, in which routes are looked at again, does not pass
		routes := fixedRoutes{{Name: "shop.db"}}
		s := serve(t, Config{Routes: &routes})
		for path, body := range map[string]string{
			"/proxies/shop.db/toxics": `{"name":"l","type":"latency","attributes":{"latency":{"wave":"ramp","from":0,"to":100,"period":5000},"jitter":5}}`,
		} {
			if status, answer := ask(s, "POST", path, body); status != 200 {
				t.Fatalf("%d %s", status, answer)
			}
		}
		ask(s, "POST", "/proxies", `{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:1","enabled":false}`)
		ask(s, "POST", "/proxies/p/toxics", `{"type":"timeout","stream":"upstream","toxicity":0.5,"attributes":{"timeout":10}}`)
		shown := func() (all string) {
			for _, x := range s.Toxics() {
				all += fmt.Sprintln(x.Proxy, x.Name, x.Type, x.AttributesText(), x.Stream, x.Toxicity, x.Idle)
			}
			return all
		}
		timeout := "p timeout_upstream timeout timeout=10 upstream 0.5 the proxy is disabled\n"
		latency := `shop.db l latency jitter=5 latency={"from":0,"period":5000,"to":100,"wave":"ramp"} downstream 1 `
		if got := shown(); got != timeout+latency+"\n" {
			t.Errorf("got\n%s", got)
		}
		routes[0].Refused = "no"
		if got := shown(); got != timeout+latency+"no\n" {
			t.Errorf("got\n%s", got)
		}
		routes = nil
		if got := shown(); got != timeout+latency+"no route of that name is served\n" {
			t.Errorf("got\n%s", got)
		}
	})
}

// Whoever breaks something on purpose leaves a line behind.
func TestChangesAreLogged(t *testing.T) {
	var text bytes.Buffer
	s := New(Config{Seed: 1, Log: slog.New(slog.NewTextHandler(&text, nil))})
	defer s.Close()
	for _, c := range []struct{ method, path, body, says string }{
		{"POST", "/proxies", `{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}`, "a proxy is made\" proxy=p listen=127.0.0.1:"},
		{"POST", "/proxies", `{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}`, ""},
		{"POST", "/proxies/p/toxics", `{"name":"l","type":"latency","attributes":{"latency":100}}`,
			`a toxic is added" proxy=p toxic=l type=latency attributes="jitter=0 latency=100" stream=downstream toxicity=1 by=192.0.2.1:1234`},
		{"POST", "/proxies/p/toxics", `{"name":"l","type":"latency"}`, ""},
		{"POST", "/proxies/p/toxics/l", `{"attributes":{"latency":200000}}`, `a toxic is changed" proxy=p toxic=l type=latency attributes="jitter=0 latency=200000"`},
		{"DELETE", "/proxies/p/toxics/l", "", `a toxic is removed" proxy=p toxic=l by=192.0.2.1:1234`},
		{"DELETE", "/proxies/p/toxics/l", "", ""},
		{"POST", "/proxies/p/toxics", `{"type":"latency","name":"` + strings.Repeat("n", 1000) + `"}`, "nnn... type=latency"},
		{"POST", "/reset", "", "all toxics removed\" toxics=1 by="},
		{"POST", "/proxies/p", `{"enabled":true}`, ""},
		{"POST", "/proxies/p", `{"enabled":false}`, "a proxy is changed\" proxy=p"},
		{"DELETE", "/proxies/p", "", "a proxy is deleted\" proxy=p by="},
		{"POST", "/populate", `[{"name":"q","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}]`, "a proxy is populated\" proxy=q"},
		{"GET", "/proxies", "", ""},
	} {
		text.Reset()
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.Host = "localhost"
		s.ServeHTTP(httptest.NewRecorder(), r)
		lines := strings.Count(text.String(), "\n")
		if !strings.Contains(text.String(), c.says) || lines != min(1, len(c.says)) || text.Len() > 1000 {
			t.Errorf("%s %s: want %q, got %.1000s", c.method, c.path, c.says, text.String())
		}
	}
	s.SetEnabled(false)
	text.Reset()
	ask(s, "POST", "/proxies/q/toxics", `{"type":"noop"}`)
	if !strings.Contains(text.String(), "it does not act while chaos is off") {
		t.Errorf("got %s", text.String())
	}
	text.Reset()
	if err := s.Populate(strings.NewReader(`[{"name":"r","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}]`)); err != nil ||
		!strings.Contains(text.String(), `by="the configuration file"`) {
		t.Errorf("%v, %s", err, text.String())
	}
}
