package toxiproxy

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy/toxiproxy"
)

// exchange is one request that both servers get. UP and DEAD in it stand for addresses; an answer that differs on purpose says why.
type exchange struct {
	method, path, body string
	header             []string
	// differs, if not empty, is why our answer is another one; want is then ours: the status, and what the body contains.
	differs    string
	wantStatus int
	wantBody   string
}

// script is run in order on both servers.
var script = []exchange{
	{method: "GET", path: "/version"},
	{method: "GET", path: "/proxies"},
	{method: "GET", path: "/nothing"},
	{method: "GET", path: "/"},
	{method: "GET", path: "/metrics"},
	{method: "PUT", path: "/proxies"},
	{method: "DELETE", path: "/proxies"},
	{method: "GET", path: "/populate"},
	{method: "GET", path: "/reset"},
	{method: "GET", path: "/proxies", header: []string{"User-Agent", "Mozilla/5.0 (X11)"}},
	{method: "POST", path: "/proxies", body: `{`},
	{method: "POST", path: "/proxies", body: ``},
	{method: "POST", path: "/proxies", body: `[]`,
		differs: "no names of Go's types", wantStatus: 400, wantBody: "bad request body: content: a JSON array is not what is expected here"},
	{method: "POST", path: "/proxies", body: `{"name":1}`,
		differs: "no names of Go's types", wantStatus: 400, wantBody: "bad request body: name: a JSON number"},
	{method: "POST", path: "/proxies", body: `{"upstream":"UP"}`},
	{method: "POST", path: "/proxies", body: `{"name":"a"}`},
	{method: "POST", path: "/proxies", body: `{"name":"a","listen":"127.0.0.1:0","upstream":"UP"}`},
	{method: "POST", path: "/proxies", body: `{"name":"a","listen":"127.0.0.1:0","upstream":"UP"}`},
	{method: "POST", path: "/proxies", body: `{"name":"off","listen":"127.0.0.1:0","upstream":"UP","enabled":false}`},
	{method: "POST", path: "/proxies", body: `{"name":"taken","listen":"UP","upstream":"UP"}`},
	{method: "POST", path: "/proxies", body: `{"name":"badport","listen":"127.0.0.1:99999","upstream":"UP"}`},
	{method: "GET", path: "/proxies"},
	{method: "GET", path: "/proxies/a"},
	{method: "GET", path: "/proxies/b"},
	{method: "POST", path: "/proxies/a", body: `{"enabled":false}`},
	{method: "GET", path: "/proxies/a"},
	{method: "PATCH", path: "/proxies/a", body: `{"enabled":true}`},
	{method: "PATCH", path: "/proxies/a", body: `{"upstream":"DEAD","enabled":true}`},
	{method: "PATCH", path: "/proxies/a", body: `{`},
	{method: "PATCH", path: "/proxies/nobody", body: `{}`},
	{method: "DELETE", path: "/proxies/nobody"},
	{method: "GET", path: "/proxies/a/toxics"},
	{method: "GET", path: "/proxies/nobody/toxics"},
	{method: "GET", path: "/proxies/a/nothing"},
	{method: "POST", path: "/proxies/a/toxics", body: `{`},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"nothing"}`},
	{method: "POST", path: "/proxies/a/toxics", body: `{}`},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"latency","stream":"sideways"}`},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"latency","attributes":{"latency":100,"jitter":10}}`},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"latency"}`},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"latency","stream":"upstream","toxicity":0.5}`},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"noop"}`},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"bandwidth","name":"slow","attributes":{"rate":100,"unknown":1}}`},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"slow_close","attributes":{"delay":100}}`},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"timeout","attributes":{"timeout":100}}`},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"reset_peer","attributes":{"timeout":100}}`},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"slicer","attributes":{"average_size":10,"size_variation":2,"delay":5}}`},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"limit_data","attributes":{"bytes":100}}`},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"latency","name":"text","attributes":{"latency":"much"}}`,
		differs: "names the attribute without Go's types", wantStatus: 400, wantBody: "latency"},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"latency","name":"seven","toxicity":7}`,
		differs: "values are checked", wantStatus: 400, wantBody: "toxicity"},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"bandwidth","name":"minus","attributes":{"rate":-1}}`,
		differs: "a negative rate would crash the other server", wantStatus: 400, wantBody: "rate"},
	{method: "GET", path: "/proxies/a/toxics/minus",
		differs: "it was refused", wantStatus: 404, wantBody: "toxic not found"},
	{method: "GET", path: "/proxies/a/toxics/latency_downstream"},
	{method: "GET", path: "/proxies/a/toxics/nothing"},
	{method: "PUT", path: "/proxies/a/toxics/latency_downstream"},
	{method: "POST", path: "/proxies/a/toxics/latency_downstream", body: `{"attributes":{"jitter":20}}`},
	{method: "PATCH", path: "/proxies/a/toxics/latency_downstream", body: `{"toxicity":0.25,"name":"x","type":"noop","stream":"upstream"}`},
	{method: "PATCH", path: "/proxies/a/toxics/latency_downstream", body: `{`},
	{method: "PATCH", path: "/proxies/a/toxics/nothing", body: `{}`},
	{method: "DELETE", path: "/proxies/a/toxics/slow"},
	{method: "DELETE", path: "/proxies/a/toxics/slow"},
	{method: "POST", path: "/populate", body: `{`},
	{method: "POST", path: "/populate", body: `[]`},
	{method: "POST", path: "/populate", body: `[{"name":"p","upstream":"UP"},{"upstream":"UP"}]`},
	{method: "POST", path: "/populate", body: `[{"name":"p","listen":"127.0.0.1:0"}]`},
	{method: "POST", path: "/populate", body: `[{"name":"p","listen":"127.0.0.1:0","upstream":"UP"},{"name":"q","listen":"127.0.0.1:0","upstream":"UP","enabled":false}]`},
	{method: "POST", path: "/populate", body: `[{"name":"r","listen":"127.0.0.1:0","upstream":"UP"},{"name":"s","listen":"UP","upstream":"UP"}]`},
	{method: "PATCH", path: "/proxies/a", body: `{"listen":"nonsense"}`},
	{method: "PATCH", path: "/proxies/a", body: `{"listen":"UP"}`},
	{method: "GET", path: "/proxies/a",
		differs: "a change that is refused changes nothing", wantStatus: 200, wantBody: `"enabled":true`},
	{method: "POST", path: "/populate", body: `[{"name":"s","listen":"UP","upstream":"UP"}]`},
	{method: "POST", path: "/populate", body: `[{"name":"p","listen":"UP","upstream":"UP"}]`},
	{method: "GET", path: "/proxies/p",
		differs: "nor does a list that is refused", wantStatus: 200, wantBody: `"enabled":true`},
	{method: "POST", path: "/populate", body: `[{"name":"p","listen":"nonsense","upstream":"UP"}]`},
	{method: "POST", path: "/populate", body: `[{"name":"new","upstream":"UP","listen":"127.0.0.1:0"},{"name":"odd","upstream":"UP","listen":"nonsense"}]`,
		differs: "all addresses are looked at before one proxy is made", wantStatus: 500, wantBody: `"error":"address nonsense: missing port in address at proxy 2 (\"odd\")"`},
	{method: "GET", path: "/proxies/new",
		differs: "so none was", wantStatus: 404, wantBody: "proxy not found"},
	{method: "POST", path: "/populate", body: `null`},
	{method: "POST", path: "/populate", body: `[null]`},
	{method: "POST", path: "/populate", body: `{}`,
		differs: "no names of Go's types", wantStatus: 400, wantBody: "bad request body: content: a JSON object"},
	{method: "POST", path: "/proxies", body: `null`},
	{method: "POST", path: "/proxies", body: `{"name":"a/b","upstream":"UP"}`,
		differs: "such a proxy could never be addressed", wantStatus: 400, wantBody: "contains a slash"},
	{method: "POST", path: "/proxies/a/toxics", body: `null`},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"latency","name":"exact","toxicity":0.123456789}`,
		differs: "a toxicity has the digits that were given", wantStatus: 200, wantBody: `"toxicity":0.123456789`},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"bandwidth","name":"half","attributes":{"rate":1.5}}`,
		differs: "fractions are taken", wantStatus: 200, wantBody: `"rate":1.5`},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"latency","name":"big","attributes":{"latency":99999999999999}}`,
		differs: "values are checked", wantStatus: 400, wantBody: "latency"},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"limit_data","name":"big","attributes":{"bytes":9223372036854775807}}`,
		differs: "a number is as exact as in JSON, up to 2^53", wantStatus: 400, wantBody: "bytes"},
	{method: "POST", path: "/proxies/a/toxics", body: `{"type":"down"}`,
		differs: "one of the toxics that the other server does not have", wantStatus: 200, wantBody: `"type":"down"`},
	{method: "GET", path: "//proxies",
		differs: "paths are not put right: there is one form of each", wantStatus: 404, wantBody: "404 page not found"},
	{method: "GET", path: "/proxies/"},
	{method: "GET", path: "/proxies/a/toxics/"},
	{method: "HEAD", path: "/proxies"},
	{method: "OPTIONS", path: "/proxies"},
	{method: "POST", path: "/version"},
	{method: "DELETE", path: "/proxies/a/toxics"},
	{method: "DELETE", path: "/proxies/a"},
	{method: "GET", path: "/proxies/a"},
	{method: "POST", path: "/reset"},
	{method: "GET", path: "/proxies/off"},
}

var (
	loopbackPort = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
	entryOfList  = regexp.MustCompile(` at proxy [0-9]+( \(\\"[^"]*\\"\))?`)
)

// normal takes out of a body what differs from run to run, what the official server shows by mistake, and which entry of a list an error
// is about: the official server says it now and then, without the name.
func normal(body string) string {
	var value any
	if json.Unmarshal([]byte(body), &value) == nil { // attributes come in another order
		if same, err := json.Marshal(value); err == nil && strings.HasPrefix(body, "{") {
			body = string(same)
		}
	}
	body = entryOfList.ReplaceAllString(strings.ReplaceAll(body, `"Logger":{},`, ""), "")
	return loopbackPort.ReplaceAllStringFunc(body, func(s string) string {
		if s == "127.0.0.1:0" {
			return s
		}
		return "127.0.0.1:PORT"
	})
}

// The official server is asked the same, in the same order, and must give the same answers.
func TestAnswersAreThoseOfTheOfficialServer(t *testing.T) {
	us, them := ours(t, toxiproxy.Config{}), official(t)
	up := echo(t)
	fill := strings.NewReplacer("UP", up, "DEAD", "127.0.0.1:1")
	differences := 0
	for _, x := range script {
		body := fill.Replace(x.body)
		if x.differs != "" {
			status, _, got := call(t, x.method, us+x.path, body, x.header...)
			if status != x.wantStatus || !strings.Contains(got, x.wantBody) {
				t.Errorf("%s %s %s: %d %s, want %d and %q (%s)", x.method, x.path, x.body, status, got, x.wantStatus, x.wantBody, x.differs)
			}
			continue
		}
		status, kind, got := call(t, x.method, us+x.path, body, x.header...)
		theirStatus, theirKind, want := call(t, x.method, them+x.path, body, x.header...)
		if got, want := normal(got), normal(want); status != theirStatus || kind != theirKind || got != want {
			differences++
			t.Errorf("%s %s %s\nours   %d %q %q\ntheirs %d %q %q", x.method, x.path, x.body, status, kind, got, theirStatus, theirKind, want)
		}
	}
	t.Logf("%d requests, %d answers differ", len(script), differences)
}
