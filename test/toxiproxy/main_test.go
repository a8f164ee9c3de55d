package toxiproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/toxiproxy"
)

// tools is a folder with the official command line and server.
var tools = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "toxiproxy-tools-")
	if err != nil {
		return "", err
	}
	for _, name := range []string{"cli", "server"} {
		out, err := exec.Command("go", "build", "-ldflags=-X github.com/Shopify/toxiproxy/v2.Version=2.12.0",
			"-o", filepath.Join(dir, name), "github.com/Shopify/toxiproxy/v2/cmd/"+name).CombinedOutput()
		if err != nil {
			return dir, fmt.Errorf("build the official %s: %w\n%s", name, err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := tools(); dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func tool(t *testing.T, name string) string {
	t.Helper()
	dir, err := tools()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// ours serves our API and returns its URL.
func ours(t *testing.T, cfg toxiproxy.Config) string {
	t.Helper()
	cfg.Log = slog.New(slog.DiscardHandler)
	s := toxiproxy.New(cfg)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := s.NewHTTPServer()
	var served sync.WaitGroup
	served.Go(func() { _ = h.Serve(ln) })
	t.Cleanup(func() {
		_ = h.Close()
		served.Wait()
		s.Close()
	})
	return "http://" + ln.Addr().String()
}

// official runs the official server and returns its URL.
func official(t *testing.T) string {
	t.Helper()
	server := tool(t, "server")
	for range 5 { // its port is chosen before it binds
		port := freePort(t)
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(context.Background())
		cmd := exec.CommandContext(ctx, server, "-host", "127.0.0.1", "-port", port)
		cmd.Stdout, cmd.Stderr = &log, &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		url := "http://127.0.0.1:" + port
		if err := answers(url, done); err == nil {
			t.Cleanup(func() { cancel(); <-done })
			return url
		}
		cancel()
	}
	t.Fatal("the official server does not start")
	return ""
}

// answers waits until a server answers, or has ended.
func answers(url string, ended <-chan error) error {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if res, err := http.Get(url + "/version"); err == nil {
			_ = res.Body.Close()
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("ended: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return errors.New("no answer")
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// echo serves connections by sending back what arrives, until it ends, and returns its address.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				_, _ = io.Copy(nc, nc)
				_ = nc.Close()
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}

// call sends a request and returns status, content type and body.
func call(t *testing.T, method, url, body string, header ...string) (status int, contentType, content string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Content-Type"), string(data)
}
