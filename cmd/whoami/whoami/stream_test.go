package whoami_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/breakwater-gateway/breakwater/cmd/whoami/whoami"
)

func TestDripDeclaresItsLength(t *testing.T) {
	got := do(t, newClient(t, nil), "GET", "http://"+startPlain(t, fixed)+"/drip?numbytes=5&duration=0&code=206", "")
	if got.status != 206 || got.body != "*****" || got.header.Get("Content-Length") != "5" {
		t.Errorf("reply: %+v", got)
	}
}

func TestStreamsRefuseBadParameters(t *testing.T) {
	client, address := newClient(t, nil), startPlain(t, fixed)
	for _, path := range []string{
		"/drip?numbytes=-1", "/drip?numbytes=1048577", "/drip?numbytes=x", "/drip?code=99", "/drip?duration=x",
		"/drip?delay=-1s", "/sse?count=-1", "/sse?count=x", "/sse?interval=x", "/informational/101",
		"/informational/200", "/informational/x",
	} {
		if got := do(t, client, "GET", "http://"+address+path, ""); got.status != 400 || strings.TrimSpace(got.body) == "" {
			t.Errorf("%s: %d %q", path, got.status, got.body)
		}
	}
}

// Each event arrives although the stream goes on: the second is an hour away.
func TestSSEFlushesEachEvent(t *testing.T) {
	options := fixed
	options.Instance = "i-1"
	address := startPlain(t, options)
	for name, configure := range map[string]func(*http.Transport){"HTTP/1.1": nil, "HTTP/2": h2c} {
		ctx, cancel := context.WithCancel(t.Context())
		request, _ := http.NewRequestWithContext(ctx, "GET", "http://"+address+"/sse?interval=1h", nil)
		response, err := newClient(t, configure).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		want := "id: 1\nevent: whoami\ndata: i-1\n\n"
		got := make([]byte, len(want))
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
			t.Errorf("%s: %q", name, kind)
		}
		cancel()
		_ = response.Body.Close()
	}
}

func TestTrailersBothWays(t *testing.T) {
	address := startPlain(t, fixed)
	for name, configure := range map[string]func(*http.Transport){"HTTP/1.1": nil, "HTTP/2": h2c} {
		request, _ := http.NewRequest("POST", "http://"+address+"/trailers?X-One=1&X-Two=a&X-Two=b",
			io.MultiReader(strings.NewReader("body")))
		request.Trailer = http.Header{"X-Sent": {"yes"}}
		response, err := newClient(t, configure).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || string(body) != "X-Sent: yes\r\n" {
			t.Errorf("%s: body %q, %v", name, body, err)
		}
		if got := fmt.Sprint(response.Trailer); got != "map[X-One:[1] X-Two:[a b]]" {
			t.Errorf("%s: trailers %s", name, got)
		}
	}
	got, _ := raw(t, address, "GET /trailers HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if !strings.HasSuffix(got, "\r\n\r\n0\r\nX-Whoami-Trailer: end\r\n\r\n") {
		t.Errorf("default: %q", got)
	}
}

func TestInterimResponses(t *testing.T) {
	address := startPlain(t, fixed)
	tests := []struct {
		path   string
		status int
		link   string
	}{
		{"/early-hints", 103, "</style.css>; rel=preload; as=style"},
		{"/early-hints?link=%3C/a.js%3E%3Brel=preload", 103, "</a.js>;rel=preload"},
		{"/early-hints?x-set-response-status-code=500", 103, "</style.css>; rel=preload; as=style"},
		{"/informational/102", 102, ""},
		{"/informational/199", 199, ""},
	}
	for name, configure := range map[string]func(*http.Transport){"HTTP/1.1": nil, "HTTP/2": h2c} {
		for _, test := range tests {
			var status int
			var link string
			trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
				status, link = code, header.Get("Link")
				return nil
			}}
			request, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", "http://"+address+test.path, nil)
			response, err := newClient(t, configure).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if status != test.status || link != test.link || response.StatusCode < 200 {
				t.Errorf("%s %s: %d %q then %d", name, test.path, status, link, response.StatusCode)
			}
		}
	}
}

func TestContinueIsSentWhenTheBodyIsRead(t *testing.T) {
	address := startPlain(t, fixed)
	response, _ := raw(t, address, "POST /api/v2 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
	if !strings.HasPrefix(response, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n") {
		t.Errorf("response: %q", response)
	}
}

func TestWebSocketEchoesEachMessageWithItsType(t *testing.T) {
	messages, output := io.Pipe()
	options := fixed
	options.Messages = output
	address := startPlain(t, options)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+address+"/echo", &websocket.DialOptions{
		HTTPHeader: http.Header{"Origin": {"https://elsewhere.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(-1)
	lines := bufio.NewReader(messages)
	for _, test := range []struct {
		kind    websocket.MessageType
		message string
		line    string
	}{
		{websocket.MessageText, "hi", "Received b:104,105,\n"},
		{websocket.MessageBinary, "\x00\xff", "Received b:0,255,\n"},
		{websocket.MessageText, "", "Received b:\n"},
		{websocket.MessageBinary, strings.Repeat("x", 300_000), "Received b:" + strings.Repeat("120,", 300_000) + "\n"},
	} {
		if err := conn.Write(ctx, test.kind, []byte(test.message)); err != nil {
			t.Fatal(err)
		}
		if line, err := lines.ReadString('\n'); err != nil || line != test.line {
			t.Errorf("line of %d bytes, want %d, or altered (%v)", len(line), len(test.line), err)
		}
		kind, message, err := conn.Read(ctx)
		if err != nil || kind != test.kind || string(message) != test.message {
			t.Errorf("%v of %d bytes: got %v of %d (%v)", test.kind, len(test.message), kind, len(message), err)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestEchoWithoutUpgradeIsRefused(t *testing.T) {
	if got := do(t, newClient(t, nil), "GET", "http://"+startPlain(t, whoami.Options{})+"/echo", ""); got.status != 426 {
		t.Errorf("status %d", got.status)
	}
}
