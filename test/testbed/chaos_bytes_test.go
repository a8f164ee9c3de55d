package testbed_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

const held = 150 * time.Millisecond

func TestLatencyOnHTTP(t *testing.T) {
	for _, at := range []string{"at: Client", "at: Backend"} {
		for _, direction := range []string{"Downstream", "Upstream"} {
			t.Run(at+direction, func(t *testing.T) {
				latency := onIngress("x", at, "toxics: [{type: Latency, direction: "+direction+", latency: {latency: 150ms}}]")
				tb := answersBed(t, "")
				client := connect(t, tb)
				client.want("/length", 200, 100) // the connections are there before
				tb.Write("chaos.yaml", latency)
				for _, path := range []string{"/length", "/large", "/chunked"} {
					length := 100
					if path == "/large" {
						length = largeBody
					}
					began := time.Now()
					client.want(path, 200, length)
					if took := time.Since(began); took < held {
						t.Errorf("%s: took %v", path, took)
					}
				}
				tb.Delete("chaos.yaml")
				tb.Eventually("the connection is fast again", func() bool {
					began := time.Now()
					client.want("/length", 200, 100)
					return time.Since(began) < held
				})
			})
		}
	}
}

func TestBandwidthOnHTTP(t *testing.T) {
	for _, at := range []string{"at: Client", "at: Backend"} {
		tb := answersBed(t, onIngress("x", at, "toxics: [{type: Bandwidth, bandwidth: {rate: 4M}}]"))
		client := connect(t, tb)
		began := time.Now()
		client.want("/large", 200, largeBody)
		if took := time.Since(began); took < 200*time.Millisecond { // 262 ms
			t.Errorf("%s: a megabyte at 4 MB/s took %v", at, took)
		}
	}
}

func TestResetPeerOnHTTP(t *testing.T) {
	t.Run("at Client", func(t *testing.T) {
		tb := answersBed(t, onIngress("x", "toxics: [{type: ResetPeer, resetPeer: {}}]"))
		client := connect(t, tb)
		if _, _, err := client.ask("/length"); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset", err)
		}
	})
	t.Run("at Backend", func(t *testing.T) {
		tb := answersBed(t, onIngress("x", "at: Backend", "toxics: [{type: ResetPeer, resetPeer: {}}]", "sequence: {steps: [{toxics: [ResetPeer]}, {}, {toxics: [ResetPeer]}]}"))
		client := connect(t, tb)
		client.want("/length", 502, 56) // as if an endpoint resets a connection that has just been opened: not tried again
		client.want("/length", 200, 100)
		client.want("/length", 502, 56)
	})
}

func TestSlowCloseAtClient(t *testing.T) {
	tb := answersBed(t, onIngress("x", "toxics: [{type: SlowClose, slowClose: {delay: 300ms}}]"))
	client := tb.DialTCP(tb.IngressPort)
	began := time.Now()
	client.Send("GET /length HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n")
	text, isReset := client.Rest()
	if isReset || !strings.HasSuffix(text, strings.Repeat("x", 9)+"\n") {
		t.Errorf("got %q, reset: %v", text, isReset)
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("closed after %v", took)
	}
}

func TestLimitDataAtClient(t *testing.T) {
	tb := answersBed(t, onIngress("x", "toxics: [{type: LimitData, limitData: {bytes: 50}}]"))
	client := tb.DialTCP(tb.IngressPort)
	client.Send("GET /large HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
	if text, _ := client.Rest(); len(text) != 50 {
		t.Errorf("got %d bytes: %q", len(text), text)
	}
}

func TestTimeoutOnHTTP(t *testing.T) {
	for _, at := range []string{"at: Client", "at: Backend"} {
		t.Run(at, func(t *testing.T) {
			tb := answersBed(t, onIngress("x", at, "toxics: [{type: Timeout, timeout: {timeout: 200ms}}]"))
			client := connect(t, tb)
			began := time.Now()
			res, _, err := client.ask("/length")
			if took := time.Since(began); took < 200*time.Millisecond {
				t.Errorf("took %v", took)
			}
			if at == "at: Client" && err == nil || at != "at: Client" && (err != nil || res.StatusCode != 502) {
				t.Errorf("got %v, %v", res, err)
			}
		})
	}
}

// What a slow toxic at Client holds of one response does not get lost when the next request meets no toxic.
func TestToxicsAtClientOfOneRequestOnly(t *testing.T) {
	tb := answersBed(t, onIngress("x", "match: [{path: {value: /length}}]", "toxics: [{type: Latency, latency: {latency: 150ms}}]"))
	client := connect(t, tb)
	for range 3 {
		began := time.Now()
		client.want("/length", 200, 100)
		if took := time.Since(began); took < held {
			t.Errorf("took %v", took)
		}
		client.want("/chunked", 200, 100)
	}
	tb.Eventually("the others are fast", func() bool {
		began := time.Now()
		client.want("/chunked", 200, 100)
		return time.Since(began) < held
	})
	// The same when they come without waiting: in order, and whole.
	client.Send(strings.Repeat("GET /length HTTP/1.1\r\nHost: shop.example.com\r\n\r\n", 3))
	for i := range 3 {
		buf := make([]byte, 100)
		skipHead(t, client)
		if _, err := io.ReadFull(client.in, buf); err != nil {
			t.Fatalf("response %d: %v", i, err)
		}
	}
}

func skipHead(t *testing.T, c *keepAlive) {
	t.Helper()
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			return
		}
	}
}

// A connection to an endpoint on which toxics have acted is not given to requests without any, and serves those with them again.
func TestToxicsAtBackendHaveConnectionsOfTheirOwn(t *testing.T) {
	tb := answersBed(t, onIngress("x", "at: Backend", "match: [{path: {value: /length}}]", "toxics: [{type: Latency, latency: {latency: 20ms}}]"))
	client := connect(t, tb)
	for range 5 {
		client.want("/length", 200, 100)
		client.want("/chunked", 200, 100)
	}
	if n := tb.Metric("breakwater_backend_connections_opened_total"); n != 2 {
		t.Errorf("%v connections, want 2", n)
	}
}

func TestDownAtBackendTriesAnotherEndpoint(t *testing.T) {
	tb, first := shopBed(t, "")
	second := tb.Extra("shop", "second", nil)
	tb.Write("chaos.yaml", onIngress("x", "at: Backend", "endpoints: {count: 1}", "toxics: [{type: Down}]"))
	if got := statuses(tb, 20); strings.Trim(got, ".") != "" {
		t.Errorf("%s", got)
	}
	if a, b := first.Requests.Load(), second.Requests.Load(); a*b != 0 || a+b != 20 {
		t.Errorf("%d and %d requests, want all at one of them", a, b)
	}
}

// The gateway goes on when a client that is held up by a toxic never reads.
func TestClientThatNeverReads(t *testing.T) {
	tb := answersBed(t, onIngress("x", "toxics: [{type: Latency, latency: {latency: 1ms}}]"))
	client := tb.DialTCP(tb.IngressPort)
	if err := client.Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	client.Send(strings.Repeat("GET /large HTTP/1.1\r\nHost: shop.example.com\r\n\r\n", 20))
	tb.Eventually("it is served", func() bool { return state(t, tb, "x").Injected > 0 })
	began := time.Now()
	tb.Delete("chaos.yaml")
	tb.Chaos.SetEnabled(false)
	if took := time.Since(began); took > time.Minute {
		t.Errorf("the change took %v", took)
	}
	other := connect(t, tb)
	other.want("/length", 200, 100)
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
}
