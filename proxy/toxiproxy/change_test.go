package toxiproxy

import (
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// slowBody is the content of a request that comes late.
type slowBody struct {
	io.Reader
	awaited chan struct{} // is closed when somebody waits for it
	sent    chan struct{} // it comes when this is closed
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.awaited != nil {
		close(b.awaited)
		b.awaited = nil
	}
	<-b.sent
	return b.Reader.Read(p)
}

// What a change does not name keeps the value that it has when the change is made, whatever else was changed while the content came.
func TestSlowChangeTakesNothingBack(t *testing.T) {
	s := serve(t, Config{})
	ask(s, "POST", "/proxies", `{"name":"db","listen":"127.0.0.1:0","upstream":"192.0.2.1:1"}`)
	awaited, sent, answered := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(answered)
		r := httptest.NewRequest("PATCH", "/proxies/db", &slowBody{strings.NewReader(`{"enabled":false}`), awaited, sent})
		r.Host = "localhost"
		s.ServeHTTP(httptest.NewRecorder(), r)
	}()
	<-awaited
	if status, body := ask(s, "PATCH", "/proxies/db", `{"upstream":"192.0.2.2:2"}`); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	close(sent)
	<-answered
	if p := s.proxies["db"].json(); p.Upstream != "192.0.2.2:2" || p.Enabled {
		t.Errorf("after both changes: %+v", p)
	}
}

// Two clients that change different things at once both get what they were told.
func TestChangesAtOnceKeepEachOther(t *testing.T) {
	s := serve(t, Config{})
	for i := range 100 {
		ask(s, "POST", "/proxies", `{"name":"db","listen":"127.0.0.1:0","upstream":"192.0.2.1:1"}`)
		var both sync.WaitGroup
		both.Go(func() { ask(s, "PATCH", "/proxies/db", `{"upstream":"192.0.2.2:2"}`) })
		both.Go(func() { ask(s, "PATCH", "/proxies/db", `{"enabled":false}`) })
		both.Wait()
		if p := s.proxies["db"].json(); p.Upstream != "192.0.2.2:2" || p.Enabled {
			t.Fatalf("pair %d: %+v", i, p)
		}
		ask(s, "DELETE", "/proxies/db", "")
	}
}
