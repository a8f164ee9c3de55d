package http1_test

import (
	"errors"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy/http1"
)

func TestParseRequest(t *testing.T) {
	head := []byte("GET /a/../b%41?q HTTP/1.1\r\nHost: SHOP.example.com:8080\r\nX: y\r\n\r\n")
	kept := string(head)
	r, err := http1.ParseRequest(head, http1.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if string(r.Host) != "shop.example.com" || string(r.Path) != "/bA" || string(r.Query) != "q" || string(r.Header.Get("x")) != "y" {
		t.Errorf("host %q, path %q, query %q, header %v", r.Host, r.Path, r.Query, r.Header)
	}
	if string(head) != kept {
		t.Errorf("the input is now %q", head)
	}
}

func TestParseRequestRefuses(t *testing.T) {
	for _, c := range []struct {
		name, head string
		status     int // 0: not a *Refusal
	}{
		{"incomplete", "GET / HTTP/1.1\r\nHost: h\r\n", 0},
		{"more than a head", "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET", 0},
		{"no host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"version", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := http1.ParseRequest([]byte(c.head), http1.Limits{})
			refusal := &http1.Refusal{}
			if err == nil || errors.As(err, &refusal) != (c.status != 0) || refusal.Status != c.status {
				t.Errorf("got %v with status %d, want status %d", err, refusal.Status, c.status)
			}
		})
	}
}
