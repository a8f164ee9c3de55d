package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// running starts a cluster and returns what to write its commands to and a function that reads its next answer.
func running(t *testing.T) (commands io.WriteCloser, answer func() (kubeconfig, state string)) {
	t.Helper()
	in, commands := io.Pipe()
	lines, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(context.Background(), in, out)
		out.CloseWithError(io.EOF)
		done <- err
	}()
	t.Cleanup(func() {
		commands.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	scanner := bufio.NewScanner(lines)
	return commands, func() (string, string) {
		t.Helper()
		if !scanner.Scan() {
			t.Fatalf("no answer: %v", scanner.Err())
		}
		var line struct{ Kubeconfig, State string }
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		return line.Kubeconfig, line.State
	}
}

func TestAClusterStartsStopsAndCleansUp(t *testing.T) {
	var dir string
	t.Run("life", func(t *testing.T) {
		commands, answer := running(t)
		kubeconfig, state := answer()
		if state != "running" {
			t.Fatalf("state %q", state)
		}
		dir = filepath.Dir(kubeconfig)
		if !ready(t, dir) {
			t.Error("not ready though it says so")
		}
		if _, err := io.WriteString(commands, "stop\n"); err != nil {
			t.Fatal(err)
		}
		if _, state := answer(); state != "stopped" {
			t.Errorf("stop leads to %q", state)
		}
		if ready(t, dir) {
			t.Error("ready after it was stopped")
		}
		if _, err := io.WriteString(commands, "start\n"); err != nil {
			t.Fatal(err)
		}
		if _, state := answer(); state != "running" || !ready(t, dir) {
			t.Errorf("after the start: %q", state)
		}
		if _, err := io.WriteString(commands, "dance\n"); err != nil {
			t.Fatal(err)
		}
		if _, state := answer(); !strings.Contains(state, "dance") {
			t.Errorf("an unknown command leads to %q", state)
		}
	})
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}

// ready asks the API server of the cluster in dir with the administrator's certificate.
func ready(t *testing.T, dir string) bool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "https://127.0.0.1:")
	port, _, _ := strings.Cut(rest, `"`)
	c := &cluster{dir: dir, port: port}
	client, err := c.adminClient()
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return answersOK(ctx, client, c.url()+"/readyz")
}

func TestAssetsOfOnesOwnMustBeComplete(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("KUBEBUILDER_ASSETS", dir)
	if err := os.WriteFile(filepath.Join(dir, "etcd"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := findAssets(context.Background()); err == nil || !strings.Contains(err.Error(), "kube-apiserver") {
		t.Errorf("without a kube-apiserver: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kube-apiserver"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := findAssets(context.Background()); err == nil || !strings.Contains(err.Error(), "not an executable") {
		t.Errorf("with a file that cannot be executed: %v", err)
	}
	if err := os.Chmod(filepath.Join(dir, "kube-apiserver"), 0o755); err != nil {
		t.Fatal(err)
	}
	if a, err := findAssets(context.Background()); err != nil || a != assetsIn(dir) {
		t.Errorf("%v, %v", a, err)
	}
}

func TestAProgramThatEndsIsReportedWithItsLastWords(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "etcd")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho the disk is full >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := newCluster(assets{etcd: script, apiserver: script}, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = c.start(ctx)
	if err == nil || !strings.Contains(err.Error(), "the disk is full") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
}
