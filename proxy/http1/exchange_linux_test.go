package http1

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// through sends every request on one connection to an endpoint.
type through struct{ u *Conn }

func (h through) Serve(x *proxy.Exchange, r proxy.Responder) {
	if err := h.u.RoundTrip(x, r); err != nil {
		r.Abort()
		return
	}
	_ = r.Deliver(x, h.u)
	h.u.Finish()
}

// A request that the kernel takes only in part at first arrives once and whole.
func TestRequestThatIsSentInPartsArrivesOnce(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	out, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	in, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := out.(*net.TCPConn).SetWriteBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if err := in.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	client, server := net.Pipe()
	defer client.Close()
	u := NewConn(out)
	defer u.Close()
	s := NewServer(Config{}, through{u})
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		client.Close()
		if err := s.Shutdown(ctx); err != nil {
			t.Error("shutdown:", err)
		}
	}()
	go s.ServeConn(server, 80, "http", func() {})
	value := strings.Repeat("0123456789abcdef", 60<<10/16)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, _ = io.WriteString(client, "GET / HTTP/1.1\r\nHost: a\r\nX: "+value+"\r\n\r\n")
		_, _ = io.ReadAtLeast(client, make([]byte, 512), len("HTTP/1.1 204"))
	}()
	want := "GET / HTTP/1.1\r\nHost: a\r\nX: " + value + "\r\n\r\n"
	got := make([]byte, len(want))
	_ = in.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(in, got); err != nil || string(got) != want {
		t.Fatalf("%v; the request arrived %d bytes long or not as it was sent", err, len(got))
	}
	if _, err := io.WriteString(in, "HTTP/1.1 204 No Content\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-answered
}
