package stream

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// endpoint starts an endpoint and returns its address.
func endpoint(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- Serve(listener) }()
	t.Cleanup(func() {
		listener.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func TestMessagesComeBackAndAreTimed(t *testing.T) {
	times, err := PingPong(t.Context(), endpoint(t), time.Millisecond)
	if err != nil || len(times) == 0 {
		t.Fatalf("%d times, %v", len(times), err)
	}
	for i, d := range times {
		if d <= 0 {
			t.Errorf("time %d is %v", i, d)
		}
	}
}

func TestBulkCountsBytes(t *testing.T) {
	address := endpoint(t)
	if n, took, err := Bulk(t.Context(), address, time.Millisecond); err != nil || n < 2 || took < time.Millisecond {
		t.Errorf("%d bytes in %v, %v", n, took, err)
	}
	if took, err := Transfer(t.Context(), address, 3*chunk+5); err != nil || took <= 0 {
		t.Errorf("%v, %v", took, err)
	}
}

func TestEndsAreToldApart(t *testing.T) {
	if _, isReset, err := End(t.Context(), endpoint(t), Ends); err != nil || isReset {
		t.Errorf("reset %v, %v; want an end", isReset, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, _ = conn.Read(make([]byte, 1)) // what is asked for
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	}()
	if _, isReset, err := End(t.Context(), listener.Addr().String(), Speaks); err != nil || !isReset {
		t.Errorf("reset %v, %v; want a reset", isReset, err)
	}
}

func TestIdleConnectionsAreThoseOfAnEndpoint(t *testing.T) {
	idle, err := OpenIdle(t.Context(), 2*openers+1, endpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	idle.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			conn.Close()
		}
	}()
	if _, err := OpenIdle(t.Context(), 1, listener.Addr().String()); err == nil {
		t.Error("took something else for an endpoint")
	}
}

func TestControlSpeaksToxiproxysAPI(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.Path+" "+string(body))
		if strings.Contains(string(body), "unheard-of") {
			http.Error(w, "invalid toxic type", http.StatusBadRequest)
		}
	}))
	defer server.Close()
	c := Control{API: strings.TrimPrefix(server.URL, "http://")}
	if err := errors.Join(c.Version(t.Context()), c.Make(t.Context(), "p", "a:1", "b:2", Downstream("latency", map[string]any{"latency": 5}))); err != nil {
		t.Error(err)
	}
	want := []string{
		`GET /version `,
		`POST /proxies {"enabled":true,"listen":"a:1","name":"p","upstream":"b:2"}`,
		`POST /proxies/p/toxics {"type":"latency","stream":"downstream","toxicity":1,"attributes":{"latency":5}}`,
	}
	if strings.Join(asked, "\n") != strings.Join(want, "\n") {
		t.Errorf("asked:\n%s\nwant:\n%s", strings.Join(asked, "\n"), strings.Join(want, "\n"))
	}
	if err := c.Make(t.Context(), "q", "a:1", "b:2", Downstream("unheard-of", nil)); err == nil || !strings.Contains(err.Error(), "invalid toxic type") {
		t.Errorf("error %v, want what the API says", err)
	}
}

func TestARelayPassesStreamsAndTheirEnds(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	behind := endpoint(t)
	go func() { done <- Relay(listener, behind) }()
	address := listener.Addr().String()
	rally, err := OpenRally(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if times, err := rally.Play(t.Context(), time.Millisecond); err != nil || len(times) == 0 {
			t.Errorf("%d times, %v", len(times), err)
		}
	}
	rally.Close()
	if _, isReset, err := End(t.Context(), address, Ends); err != nil || isReset {
		t.Errorf("reset %v, %v; want an end", isReset, err)
	}
	listener.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
