package whoami_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/breakwater-gateway/breakwater/cmd/whoami/whoami"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should happen at once.
const patience = 20 * time.Second

var fixed = whoami.Options{Name: "foo", Hostname: "host-1", Addresses: []string{"127.0.0.1", "::1"}}

// start serves handler on a loopback port until the test ends and returns its address.
func start(t *testing.T, options whoami.ServeOptions) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- whoami.Serve(ctx, listener, options) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return listener.Addr().String()
}

func startPlain(t *testing.T, options whoami.Options) string {
	t.Helper()
	return start(t, whoami.ServeOptions{Handler: whoami.New(options)})
}

// newClient returns a client whose connections end with the test.
func newClient(t *testing.T, configure func(*http.Transport)) *http.Client {
	transport := &http.Transport{DisableCompression: true}
	if configure != nil {
		configure(transport)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

type reply struct {
	status int
	header http.Header
	body   string
}

// do sends one request; lines are "Name: value".
func do(t *testing.T, client *http.Client, method, url, body string, lines ...string) reply {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Add(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer func() { _ = response.Body.Close() }()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return reply{response.StatusCode, response.Header, string(read)}
}

// raw sends bytes as they are and returns all that comes until the server closes, with the address it was sent from.
func raw(t *testing.T, address, request string) (response, from string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(bufio.NewReader(conn))
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return string(all), conn.LocalAddr().String()
}
