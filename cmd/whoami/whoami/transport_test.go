package whoami_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/cmd/whoami/whoami"
)

func TestTCPEchoesToTheEnd(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- whoami.EchoTCP(ctx, listener) }()

	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	sent := strings.Repeat("0123456789", 1000)
	if _, err := io.WriteString(conn, sent); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != sent {
		t.Errorf("%d bytes back, %v", len(got), err)
	}
	_ = conn.Close()

	idle, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = idle.Close() }()
	_, _ = io.WriteString(idle, "x")
	if _, err := io.ReadFull(idle, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("EchoTCP: %v", err)
	}
	_ = idle.SetReadDeadline(time.Now().Add(patience))
	if n, err := idle.Read(make([]byte, 1)); err == nil {
		t.Errorf("open after the end: %d bytes", n)
	}
}

func TestUDPEchoesEachDatagram(t *testing.T) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- whoami.EchoUDP(ctx, socket) }()
	conn, err := net.Dial("udp", socket.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	buffer := make([]byte, 65535)
	for _, sent := range []string{"one", "", strings.Repeat("x", 60_000)} {
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buffer)
		if err != nil || string(buffer[:n]) != sent {
			t.Errorf("%d bytes back of %d, %v", n, len(sent), err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("EchoUDP: %v", err)
	}
}
