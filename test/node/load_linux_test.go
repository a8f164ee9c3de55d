package node

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// client makes requests over one connection, as long as the server keeps it, and tries nothing again.
type client struct {
	address, host string
	fresh         bool // a connection for each request

	conn   net.Conn
	reader *bufio.Reader
	used   int // requests on conn
}

const requestTimeout = 10 * time.Second

// do makes a request and returns its status and body.
func (c *client) do(method, path, body string) (status int, answer string, err error) {
	defer func() {
		if err != nil || c.fresh {
			c.close()
		}
	}()
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", c.address, requestTimeout); err != nil {
			return 0, "", err
		}
		c.reader, c.used = bufio.NewReader(c.conn), 0
	}
	if err := c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return 0, "", err
	}
	c.used++
	request := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", method, path, c.host, len(body), body)
	if _, err := io.WriteString(c.conn, request); err != nil {
		return 0, "", fmt.Errorf("request %s of a connection: %w", nth(c.used), err)
	}
	res, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, "", fmt.Errorf("answer %s of a connection: %w", nth(c.used), err)
	}
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, "", fmt.Errorf("body of answer %s of a connection: %w", nth(c.used), err)
	}
	if res.Close {
		c.close()
	}
	return res.StatusCode, string(data), nil
}

// nth tells the first request from those that may meet a server that has just closed an idle connection.
func nth(n int) string {
	if n == 1 {
		return "1"
	}
	return "2 or later"
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// load is requests that go on until it is stopped.
type load struct {
	stopping chan struct{}
	clients  sync.WaitGroup

	mu       sync.Mutex // guards the rest
	requests map[string]int
	failures map[string][]string
	pods     map[string]bool // that answered
}

// startLoad has several clients of each kind make requests with short pauses.
func startLoad(address, host string) *load {
	l := &load{
		stopping: make(chan struct{}), requests: map[string]int{}, failures: map[string][]string{}, pods: map[string]bool{},
	}
	for range 2 {
		l.start("GET, kept connections", &client{address: address, host: host}, "GET", "/api", "")
		l.start("POST, kept connections", &client{address: address, host: host}, "POST", "/api", "body")
		l.start("GET, a connection each", &client{address: address, host: host, fresh: true}, "GET", "/api", "")
		l.start("GET that takes 1 s", &client{address: address, host: host}, "GET", "/delay/1s", "")
	}
	return l
}

func (l *load) start(kind string, c *client, method, path, body string) {
	l.clients.Go(func() {
		defer c.close()
		for {
			select {
			case <-l.stopping:
				return
			case <-time.After(10 * time.Millisecond):
			}
			began := time.Now()
			status, answer, err := c.do(method, path, body)
			l.note(kind, began, status, answer, err)
		}
	})
}

func (l *load) note(kind string, began time.Time, status int, answer string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests[kind]++
	if err == nil && status == http.StatusOK {
		l.pods[hostname(answer)] = true
		return
	}
	what := fmt.Sprintf("status %d %q", status, answer)
	if err != nil {
		what = err.Error()
	}
	l.failures[kind] = append(l.failures[kind], fmt.Sprintf("%s (%s) %s",
		began.Format("15:04:05.000"), time.Since(began).Round(time.Millisecond), what))
}

// hostname returns the pod that an answer of whoami names, in either format.
func hostname(answer string) string {
	for _, before := range []string{"Hostname: ", `"hostname":"`} {
		if _, rest, ok := strings.Cut(answer, before); ok {
			return rest[:strings.IndexAny(rest, "\n\"")]
		}
	}
	return ""
}

// stop ends the requests and checks that none has failed.
func (l *load) stop(t *testing.T) {
	t.Helper()
	close(l.stopping)
	l.clients.Wait()
	for _, kind := range slices.Sorted(maps.Keys(l.requests)) {
		failures := l.failures[kind]
		t.Logf("%s: %d requests, %d failed", kind, l.requests[kind], len(failures))
		if len(failures) > 0 {
			t.Errorf("%s: %d of %d failed:\n%s", kind, len(failures), l.requests[kind], strings.Join(failures[:min(len(failures), 20)], "\n"))
		}
	}
}
