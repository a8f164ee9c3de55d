package toxiproxy

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience bounds what should be immediate. Nothing is measured against it.
const patience = 20 * time.Second

// Somebody may find a proxy in the list before it turns out that it cannot listen, and start it.
func TestProxyThatCouldNotListenIsNeverStarted(t *testing.T) {
	// None of these ports can be bound at an address of RFC 5737, and to try them all leaves time to find the proxy.
	s := serve(t, Config{Ports: PortRange{30000, 30999}})
	for end := time.Now().Add(patience); ; {
		answer := make(chan string)
		go func() {
			_, body := ask(s, "POST", "/proxies", `{"name":"p","listen":"192.0.2.1:0","upstream":"127.0.0.1:1"}`)
			answer <- body
		}()
		p, body := found(s, "p", answer)
		if !strings.Contains(body, "cannot assign") {
			t.Fatal(body)
		}
		if p == nil {
			if time.Now().After(end) {
				t.Fatal("the proxy was never seen")
			}
			continue
		}
		in := proxyInput{Name: "p", Listen: "127.0.0.1:0", Upstream: "127.0.0.1:1", Enabled: true}
		if err := p.update(in); err != errProxyNotFound {
			t.Errorf("it is started: %v", err)
			p.delete()
		}
		return
	}
}

// found returns a proxy that is in the list before the answer is there, and the answer.
func found(s *Server, name string, answer <-chan string) (p *proxyServer, body string) {
	for p == nil {
		select {
		case body := <-answer:
			return nil, body
		default:
			runtime.Gosched()
		}
		s.mu.Lock()
		p = s.proxies[name]
		s.mu.Unlock()
	}
	return p, <-answer
}
