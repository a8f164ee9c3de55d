package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"syscall"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy/splice"
)

// withoutPipes runs f while the process cannot open another descriptor and has no pipe left.
func withoutPipes(t *testing.T, f func()) {
	t.Helper()
	runtime.GC() // the pool keeps what it holds for one collection
	runtime.GC()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}()
	if splice.Get() != nil {
		t.Fatal("a pipe is to be had")
	}
	f()
}

func TestTunnelWithoutPipeCopies(t *testing.T) {
	near, far := tcpPair(t)
	down, client := tcpPair(t)
	closed := make(chan struct{})
	s := NewServer(Config{}, toConn{near.nc})
	withoutPipes(t, func() {
		go s.ServeConn(down.nc, 80, "http", func() { close(closed) })
		pass := func(say string, from net.Conn, to io.Reader) {
			t.Helper()
			if _, err := io.WriteString(from, say); err != nil {
				t.Fatal(err)
			}
			p := make([]byte, len(say))
			if _, err := io.ReadFull(to, p); err != nil || string(p) != say {
				t.Fatalf("got %q and %v, want %q", p, err, say)
			}
		}
		const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
		pass("GET / HTTP/1.1\r\nHost: a\r\n"+upgrade, client.nc, far.nc)
		if _, err := io.WriteString(far.nc, "HTTP/1.1 101 Switching Protocols\r\n"+upgrade); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(client.nc)
		if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != 101 {
			t.Fatal(res, err)
		}
		for range 3 {
			pass("hello", client.nc, far.nc)
			pass("welcome", far.nc, in)
		}
		client.close()
		far.close()
		<-closed
	})
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}
