package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// exchange writes raw bytes to a backend and returns a reader of its answers.
func exchange(t *testing.T, pieces ...string) *bufio.Reader {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		newBackend("other").serve(conn)
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		_ = listener.Close()
		<-served
	})
	for _, piece := range pieces {
		if _, err := io.WriteString(conn, piece); err != nil {
			t.Fatal(err)
		}
	}
	return bufio.NewReader(conn)
}

func body(t *testing.T, r *bufio.Reader) (int, string) {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(all)
}

func TestBackendAnswersEachPath(t *testing.T) {
	r := exchange(t,
		"GET /small HTTP/1.1\r\nHost: a\r\n\r\nGET /10m HTTP/1.1\r\n", "Host: a\r\n\r\n",
		"POST /post HTTP/1.1\r\ncontent-length: 6\r\n\r\nabc", "defGET /100k HTTP/1.1\r\n\r\n",
		"GET /elsewhere HTTP/1.1\r\n\r\nGET /head HTTP/1.1\r\nX-A: b\r\n\r\n")
	for _, want := range []int{43, 10 << 20, 2, 100 << 10} {
		if status, got := body(t, r); status != 200 || len(got) != want {
			t.Errorf("status %d, %d bytes; want 200, %d", status, len(got), want)
		}
	}
	if _, got := body(t, r); got != "other" {
		t.Errorf("other path: %q", got)
	}
	if _, got := body(t, r); got != "GET /head HTTP/1.1\r\nX-A: b\r\n\r\n" {
		t.Errorf("head: %q", got)
	}
}

func TestBackendRefusesWhatItDoesNotSpeak(t *testing.T) {
	for _, text := range []string{
		"POST /post HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST /post HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"nonsense\r\n\r\n",
		strings.Repeat("a", headLimit),
	} {
		if status, _ := body(t, exchange(t, text)); status != 400 {
			t.Errorf("%.40q: status %d, want 400", text, status)
		}
	}
}
