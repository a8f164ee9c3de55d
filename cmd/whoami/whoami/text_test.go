package whoami_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/cmd/whoami/whoami"
)

// The text form, byte for byte, for raw requests. %s stands for the peer's address.
func TestTextIsByteCompatible(t *testing.T) {
	const who = "Name: foo\nHostname: host-1\nIP: 127.0.0.1\nIP: ::1\nRemoteAddr: %s\n"
	tests := []struct{ name, request, want string }{
		{
			"fields sorted after Host and User-Agent",
			"GET /?a=b HTTP/1.1\r\nX-B: 2\r\nHost: example.com\r\nAccept: */*\r\nUser-Agent: t/1\r\nX-A: 1\r\nX-A: 3\r\nConnection: close\r\n\r\n",
			"GET /?a=b HTTP/1.1\r\nHost: example.com\r\nUser-Agent: t/1\r\nAccept: */*\r\nConnection: close\r\nX-A: 1\r\nX-A: 3\r\nX-B: 2\r\n\r\n",
		},
		{
			"missing User-Agent shown as Go's own",
			"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: Go-http-client/1.1\r\nConnection: close\r\n\r\n",
		},
		{
			"Content-Length right after User-Agent, then the body",
			"POST /p HTTP/1.1\r\nHost: h\r\nAccept: x\r\nUser-Agent: t\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
			"POST /p HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\nContent-Length: 5\r\nAccept: x\r\nConnection: close\r\n\r\nhello",
		},
		{
			"chunked body stays chunked",
			"POST /p HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
			"POST /p HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		},
		{
			"unknown path with any method, not cleaned",
			"PATCH /a//b/../c%20d?x HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\nConnection: close\r\n\r\n",
			"PATCH /a//b/../c%20d?x HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		},
		{
			"unparsable wait ignored",
			"GET /?wait=soon HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\nConnection: close\r\n\r\n",
			"GET /?wait=soon HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\nConnection: close\r\n\r\n",
		},
	}
	address := startPlain(t, fixed)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			response, from := raw(t, address, test.request)
			head, body, _ := strings.Cut(response, "\r\n\r\n")
			if want := fmt.Sprintf(who, from) + test.want; body != want {
				t.Errorf("body:\n%q\nwant:\n%q", body, want)
			}
			if !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") || !strings.Contains(head, "Content-Type: text/plain; charset=utf-8") {
				t.Errorf("head: %q", head)
			}
		})
	}
}

func TestTextWithoutNameBeginsWithHostname(t *testing.T) {
	got := do(t, newClient(t, nil), "GET", "http://"+startPlain(t, whoami.Options{Hostname: "h"}), "")
	if !strings.HasPrefix(got.body, "Hostname: h\nIP: ") {
		t.Errorf("body: %q", got.body)
	}
}

func TestTextEchoesLargeBodiesWhole(t *testing.T) {
	address := startPlain(t, fixed)
	for _, size := range []int{1<<20 - 1, 1 << 20, 5<<20 + 3} {
		body := strings.Repeat("0123456789abcde\n", size/16+1)[:size]
		got := do(t, newClient(t, nil), "POST", "http://"+address, body)
		if _, echoed, _ := strings.Cut(got.body, "\r\n\r\n"); echoed != body {
			t.Errorf("%d bytes sent, %d echoed, or altered", size, len(echoed))
		}
	}
}

func TestTextShowsHTTP11ForHTTP2(t *testing.T) {
	address := startPlain(t, fixed)
	got := do(t, newClient(t, h2c), "GET", "http://"+address+"/x", "")
	if !strings.Contains(got.body, "\nGET /x HTTP/1.1\r\n") {
		t.Errorf("body: %q", got.body)
	}
}

func TestMalformedBodyIsRefused(t *testing.T) {
	response, _ := raw(t, startPlain(t, fixed),
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
	if !strings.HasPrefix(response, "HTTP/1.1 400 ") {
		t.Errorf("response: %q", response)
	}
}

func TestEnvironmentNeedsPermission(t *testing.T) {
	t.Setenv("WHOAMI_TEST_SECRET", "s3cret")
	allowed := fixed
	allowed.AllowEnv = true
	for _, path := range []string{"/", "/api", "/api/v2"} {
		for _, test := range []struct {
			options whoami.Options
			query   string
			shown   bool
		}{
			{fixed, "?env=true", false},
			{allowed, "?env=true", true},
			{allowed, "?env=1", true},
			{allowed, "?env=yes", false},
			{allowed, "", false},
		} {
			w := httptest.NewRecorder()
			whoami.New(test.options).ServeHTTP(w, httptest.NewRequest("GET", path+test.query, nil))
			if shown := strings.Contains(w.Body.String(), "s3cret"); shown != test.shown {
				t.Errorf("%s%s allowed=%v: shown %v", path, test.query, test.options.AllowEnv, shown)
			}
		}
	}
}

func TestAPIHasTheCompatibleFieldsInOrder(t *testing.T) {
	response, from := raw(t, startPlain(t, fixed),
		"PUT /api?x=1&y=<z> HTTP/1.1\r\nHost: h:1\r\nX-A: 1\r\nX-A: 2\r\nConnection: close\r\n\r\n")
	_, body, _ := strings.Cut(response, "\r\n\r\n")
	want := `{"hostname":"host-1","ip":["127.0.0.1","::1"],"headers":{"Connection":["close"],"X-A":["1","2"]},` +
		`"url":"/api?x=1\u0026y=\u003cz\u003e","host":"h:1","method":"PUT","name":"foo","remoteAddr":"` + from + "\"}\n"
	if body != want {
		t.Errorf("body:\n%s\nwant:\n%s", body, want)
	}
	if !strings.Contains(response, "Content-Type: application/json\r\n") {
		t.Errorf("response: %q", response)
	}
}

func TestAPIv2TellsEverything(t *testing.T) {
	options := fixed
	options.Instance, options.Zone = "i-1", "z-1"
	options.Pod, options.Namespace, options.Service, options.Node = "pod-1", "ns-1", "svc-1", "node-1"
	address := startPlain(t, options)
	response, from := raw(t, address, "POST /api/v2?q=1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"+
		"Trailer: X-T\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\nX-T: end\r\n\r\n")
	_, body, _ := strings.Cut(response, "\r\n\r\n")
	var got whoami.Answer
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	want := whoami.Answer{
		Name: "foo", Instance: "i-1", Zone: "z-1", Hostname: "host-1", Pod: "pod-1", Namespace: "ns-1", Service: "svc-1",
		Node: "node-1", IP: []string{"127.0.0.1", "::1"}, Protocol: "HTTP/1.1", Method: "POST", Host: "h",
		URL: "/api/v2?q=1", Path: "/api/v2", Headers: http.Header{"Connection": {"close"}},
		Trailers: http.Header{"X-T": {"end"}}, ContentLength: -1, TransferEncoding: []string{"chunked"}, BodyBytes: 3,
		BodySHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		RemoteAddr: from, LocalAddr: address,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("answer:\n%+v\nwant:\n%+v", got, want)
	}
	for _, field := range []string{"X-Whoami-Instance: i-1\r\n", "X-Whoami-Zone: z-1\r\n"} {
		if !strings.Contains(response, field) {
			t.Errorf("no %q in %q", field, response)
		}
	}
}

func TestBench(t *testing.T) {
	got := do(t, newClient(t, nil), "GET", "http://"+startPlain(t, fixed)+"/bench", "")
	if got.body != "1" || got.header.Get("Connection") != "keep-alive" || got.header.Get("Content-Type") != "text/plain" {
		t.Errorf("reply: %+v", got)
	}
}

func TestAccessLogIsOneUnbreakableLine(t *testing.T) {
	var out bytes.Buffer
	options := fixed
	options.AccessLog = log.New(&out, "", 0)
	r := httptest.NewRequest("GET", "/a%0ab%22?q=hidden", nil)
	whoami.New(options).ServeHTTP(httptest.NewRecorder(), r)
	want := `^192\.0\.2\.1:1234 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /a\\nb\\" HTTP/1\.1" - -\n$`
	if !regexp.MustCompile(want).MatchString(out.String()) {
		t.Errorf("log: %q", out.String())
	}
}

func TestOpenAPIDescribesEveryPath(t *testing.T) {
	got := do(t, newClient(t, nil), "GET", "http://"+startPlain(t, fixed)+"/openapi.yaml", "")
	if got.header.Get("Content-Type") != "application/yaml" {
		t.Errorf("header: %v", got.header)
	}
	for _, path := range []string{
		"/", "/api", "/api/v2", "/bench", "/data", "/delay/{duration}", "/drip", "/early-hints", "/echo", "/health",
		"/informational/{code}", "/openapi.yaml", "/readyz", "/readyz/enable", "/readyz/disable", "/retry/", "/sse",
		"/status/{code}", "/trailers", "/unstable",
	} {
		if !strings.Contains(got.body, "\n  "+path+":\n") {
			t.Errorf("%s is not described", path)
		}
	}
}
