package load

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

func TestIdleConnectionsStayOpenAfterOneRequest(t *testing.T) {
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "a.example.com" && r.URL.Path == "/p" {
			served.Add(1)
		}
	}))
	defer server.Close()
	idle, err := OpenIdle(t.Context(), 50, server.Listener.Addr().String(), "a.example.com", "/p")
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	if served.Load() != 50 || idle.Lost() != 0 {
		t.Errorf("%d requests served, %d connections lost; want 50, 0", served.Load(), idle.Lost())
	}
	server.CloseClientConnections()
	for deadline := time.Now().Add(10 * time.Second); idle.Lost() != 50; {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections lost after the server closed all 50", idle.Lost())
		}
	}
}

func TestIdleConnectionsNeedAGoodAnswer(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"error status":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"connection close": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") },
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			defer server.Close()
			if _, err := OpenIdle(t.Context(), 3, server.Listener.Addr().String(), "a", "/"); err == nil {
				t.Error("no error")
			}
		})
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if _, err := OpenIdle(t.Context(), 3, listener.Addr().String(), "a", "/"); err == nil {
		t.Error("nobody listens: no error")
	}
}
