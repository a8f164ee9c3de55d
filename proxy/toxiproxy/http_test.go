package toxiproxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnswersHaveAnIDEach(t *testing.T) {
	s, seen := serve(t, Config{}), map[string]bool{}
	for _, path := range []string{"/version", "/version", "/nothing"} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost"+path, nil))
		id := w.Header().Get("X-Toxiproxy-Request-Id")
		if id == "" || seen[id] {
			t.Errorf("%s: the answer has the id %q", path, id)
		}
		seen[id] = true
	}
}

// pipes is a listener whose one connection is a pipe, so that time is that of the test.
type pipes struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conn:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error {
	close(p.closed)
	return nil
}

func (pipes) Addr() net.Addr { return &net.TCPAddr{} }

// A client that stops in the middle, or says no more, is not waited for longer than Toxiproxy does.
func TestTimeLimitsOfTheAPI(t *testing.T) {
	const get = "GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for name, c := range map[string]struct {
		use  func(t *testing.T, nc net.Conn) // returns when the connection has ended
		want time.Duration
	}{
		"read a head": {func(t *testing.T, nc net.Conn) {
			fmt.Fprint(nc, "GET /version HTT")
			readAll(nc)
		}, 15 * time.Second},
		"read a body": {func(t *testing.T, nc net.Conn) {
			fmt.Fprint(nc, "POST /proxies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
			readAll(nc)
		}, 15 * time.Second},
		"write": {func(t *testing.T, nc net.Conn) {
			fmt.Fprint(nc, get)
			time.Sleep(30 * time.Second) // and reads nothing
			synctest.Wait()
			if got := readAll(nc); got != "" {
				t.Errorf("after the limit comes %q", got)
			}
		}, 30 * time.Second},
		"be idle": {func(t *testing.T, nc net.Conn) {
			fmt.Fprint(nc, get)
			r := bufio.NewReader(nc)
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_, _ = io.Copy(io.Discard, r)
		}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				s, ln := New(Config{Seed: 1}), pipes{make(chan net.Conn, 1), make(chan struct{})}
				ln.conn <- server
				h := s.NewHTTPServer()
				go func() { _ = h.Serve(ln) }()
				began, giveUp := time.Now(), time.AfterFunc(time.Hour, func() { _ = client.Close() })
				c.use(t, client)
				if took := time.Since(began); took != c.want {
					t.Errorf("it ends after %v, want %v", took, c.want)
				}
				giveUp.Stop()
				_ = client.Close()
				_ = h.Close()
				s.Close()
			})
		})
	}
}

func readAll(r io.Reader) string {
	got, _ := io.ReadAll(r)
	return string(got)
}

// The time limit holds for each connection that a proxy opens; of a nanosecond none is left when there is an answer.
func TestDialTimeout(t *testing.T) {
	if got := serve(t, Config{}).cfg.DialTimeout; got != 10*time.Second {
		t.Errorf("unless it is said: %v", got)
	}
	s := serve(t, Config{DialTimeout: time.Nanosecond})
	if !ended(connect(t, create(t, s, "db", "127.0.0.1:0"))) {
		t.Error("something came")
	}
	if up, err := s.dial(t.Context(), echo(t), "127.0.0.1:1"); err == nil {
		_ = up.Close()
		t.Error("the upstream is reached in no time")
	}
}

// What connections share of a toxic goes on when its toxicity is changed, and begins anew with another rate.
func TestSharedRateOutlivesAChangeOfToxicity(t *testing.T) {
	s := serve(t, Config{})
	ask(s, "POST", "/proxies", `{"name":"db","upstream":"127.0.0.1:1","enabled":false}`)
	shared := func(method, path, body string) any {
		t.Helper()
		if status, answer := ask(s, method, "/proxies/db/toxics"+path, body); status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
		return s.proxies["db"].chain.list[0].entry.Shared
	}
	first := shared("POST", "", `{"name":"slow","type":"bandwidth","attributes":{"rate":10,"shared":true}}`)
	if got := shared("PATCH", "/slow", `{"toxicity":0.5}`); got != first || first == nil {
		t.Errorf("with another toxicity connections share %v, not %v", got, first)
	}
	if shared("PATCH", "/slow", `{"attributes":{"rate":20}}`) == first {
		t.Error("with another rate connections share what they did")
	}
}
