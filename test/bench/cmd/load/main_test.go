package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// runUntil calls try with later and later deadlines until it has seen enough, however slow the machine is.
func runUntil(t *testing.T, try func(deadline time.Time) (enough bool)) {
	t.Helper()
	for length := 50 * time.Millisecond; length < time.Minute; length *= 2 {
		if try(time.Now().Add(length)) {
			return
		}
	}
	t.Fatal("nothing happened")
}

func TestLoadCountsAnswersBytesAndErrors(t *testing.T) {
	var good, bad atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if len(body) != 100 || !strings.HasPrefix(r.Host, "h") {
			bad.Add(1)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		good.Add(1)
		fmt.Fprint(w, "answer")
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	requests := &source{all: []string{request("POST", "/p", "h0", "", 100), request("POST", "/p", "h1", "", 100), request("POST", "/p", "x", "", 100)}}
	var total tally
	runUntil(t, func(deadline time.Time) bool {
		good.Store(0)
		bad.Store(0)
		total = run(address, requests, 3, deadline)
		server.CloseClientConnections()
		return good.Load() > 0 && bad.Load() > 0 && total.status > 0
	})
	answered := int64(len(total.latencies))
	// The deadline may cut off one answer per connection.
	if sent := good.Load() + bad.Load(); answered == 0 || answered > sent || answered < sent-3 {
		t.Errorf("%d answers counted, %d given", answered, sent)
	}
	if total.status > bad.Load() || total.status < bad.Load()-3 || bad.Load() == 0 {
		t.Errorf("%d error statuses counted, %d given", total.status, bad.Load())
	}
	if total.bytes < answered*int64(len("HTTP/1.1 200 OK\r\n")) || total.connect+total.read+total.write != 0 {
		t.Errorf("tally %d bytes, %d connect, %d read, %d write errors", total.bytes, total.connect, total.read, total.write)
	}
	if total.percentile(50) <= 0 || total.percentile(99) < total.percentile(50) {
		t.Errorf("p50 %v, p99 %v", total.percentile(50), total.percentile(99))
	}
}

func TestLoadReportsThatNobodyListens(t *testing.T) {
	server := httptest.NewServer(nil)
	address := server.Listener.Addr().String()
	server.Close()
	runUntil(t, func(deadline time.Time) bool {
		total := run(address, &source{all: []string{"x"}}, 1, deadline)
		if len(total.latencies) != 0 {
			t.Errorf("tally %+v", total)
		}
		return total.connect > 0
	})
}

func TestRequestsInTurnGoRoundAndRound(t *testing.T) {
	s := &source{all: []string{"a", "b", "c"}, inTurn: true}
	got := ""
	for range 7 {
		got += s.next()
	}
	if got != "abcabca" {
		t.Errorf("sent %q", got)
	}
	if text := request("GET", "/p", "h0", "X-Turn: 7\r\n", 0); text != "GET /p HTTP/1.1\r\nHost: h0\r\nX-Turn: 7\r\n\r\n" {
		t.Errorf("request %q", text)
	}
}
