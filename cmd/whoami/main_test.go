package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestFlagsAndEnvironment(t *testing.T) {
	tests := []struct {
		name string
		args []string
		env  map[string]string
		want settings
	}{
		{"defaults", nil, nil, settings{port: "80", grace: 30 * time.Second}},
		{"environment", nil, map[string]string{"WHOAMI_PORT_NUMBER": "81", "WHOAMI_NAME": "n", "WHOAMI_ZONE": "z", "POD_NAME": "p"},
			settings{port: "81", name: "n", zone: "z", instance: "p", grace: 30 * time.Second}},
		{"empty environment is unset", nil, map[string]string{"WHOAMI_PORT_NUMBER": ""}, settings{port: "80", grace: 30 * time.Second}},
		{"flags win", []string{"-port", "82", "--name=m", "-instance", "i"},
			map[string]string{"WHOAMI_PORT_NUMBER": "81", "WHOAMI_NAME": "n", "WHOAMI_INSTANCE": "j"},
			settings{port: "82", name: "m", instance: "i", grace: 30 * time.Second}},
		{"all", []string{"-cert", "c", "-key", "k", "-cacert", "a", "-verbose", "-allow-env", "-tcp-echo", ":1", "-udp-echo", ":2", "-grace", "1s"}, nil,
			settings{cert: "c", key: "k", ca: "a", port: "80", verbose: true, allowEnv: true, tcpEcho: ":1", udpEcho: ":2", grace: time.Second}},
	}
	for _, test := range tests {
		got, err := process{args: test.args, getenv: environment(test.env), stderr: io.Discard}.parse()
		if err != nil || got != test.want {
			t.Errorf("%s: %+v, %v; want %+v", test.name, got, err, test.want)
		}
	}
}

func TestBadArguments(t *testing.T) {
	for _, args := range [][]string{
		{"-nonsense"}, {"extra"}, {"-port", "http:80"}, {"-cert", "x"}, {"-port", "0", "-tcp-echo", "nowhere"},
		{"-port", "0", "-udp-echo", "nowhere"},
	} {
		if err := (process{args: args, getenv: environment(nil), stderr: io.Discard}).run(t.Context()); err == nil {
			t.Errorf("%q accepted", args)
		}
	}
	var help bytes.Buffer
	err := process{args: []string{"-h"}, getenv: environment(nil), stderr: &help}.run(t.Context())
	if !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "-allow-env") {
		t.Errorf("help: %v\n%s", err, help.String())
	}
}

// The whole program: it says where it listens, serves, logs, and stops without error.
func TestProgramServesUntilStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	log, output := io.Pipe()
	done := make(chan error, 1)
	program := process{
		args:   []string{"-port", "0", "-name", "foo", "-verbose", "-tcp-echo", "127.0.0.1:0", "-udp-echo", "127.0.0.1:0"},
		getenv: environment(map[string]string{"POD_NAME": "pod-1"}), stdout: io.Discard, stderr: output,
	}
	go func() { done <- program.run(ctx) }()
	lines := bufio.NewReader(log)
	first, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`Starting up on port (\d+)\n$`).FindStringSubmatch(first)
	if match == nil {
		t.Fatalf("first line: %q", first)
	}
	second := make(chan string, 1)
	go func() {
		line, _ := lines.ReadString('\n')
		second <- line
	}()
	transport := &http.Transport{}
	response, err := (&http.Client{Transport: transport}).Get("http://" + net.JoinHostPort("127.0.0.1", match[1]) + "/bench")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	transport.CloseIdleConnections()
	if got := response.Header.Get("X-Whoami-Instance"); got != "pod-1" {
		t.Errorf("instance %q", got)
	}
	if line := <-second; !strings.HasSuffix(line, "\"GET /bench HTTP/1.1\" - -\n") {
		t.Errorf("log line: %q", line)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
}
