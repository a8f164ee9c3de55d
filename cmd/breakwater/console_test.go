package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestConsole(t *testing.T) {
	var b bytes.Buffer
	h := newConsole(&b, slog.LevelInfo, false)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := slog.NewRecord(at, slog.LevelWarn, "line\nend", 0)
	r.AddAttrs(slog.String("file", "a b"), slog.Int("n", 1))
	if err := h.WithAttrs([]slog.Attr{slog.String("part", "x")}).WithGroup("g").Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "03:04:05 WARN  line end  part=x g.file=\"a b\" g.n=1\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	b.Reset()
	if err := h.Handle(t.Context(), slog.NewRecord(time.Time{}, slog.LevelInfo, "plain", 0)); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != "INFO  plain\n" {
		t.Errorf("got %q", got)
	}
	b.Reset()
	slog.New(h).Debug("quiet")
	if b.Len() != 0 {
		t.Errorf("got %q", b.String())
	}
	slog.New(newConsole(&b, slog.LevelInfo, true)).Error("loud", "k", "\x1b[2J")
	if got := b.String(); !strings.Contains(got, "\x1b[31mERROR\x1b[0m") || strings.Contains(got, "[2J\n") && strings.Contains(got, "\x1b[2J") {
		t.Errorf("got %q", got)
	}
}

func TestLogger(t *testing.T) {
	var b bytes.Buffer
	o := logOptions{level: "warn", format: "auto"}
	log, err := o.logger(&b)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	log.Warn("loud", "k", "v", "after", 1500*time.Millisecond)
	var line struct{ Level, Msg, K, After string }
	if err := json.Unmarshal(b.Bytes(), &line); err != nil || line.Level != "WARN" || line.Msg != "loud" || line.K != "v" || line.After != "1.5s" {
		t.Errorf("not on a terminal it is JSON: %q, %v", b.String(), err)
	}
	for _, bad := range []logOptions{{"loud", "auto"}, {"info+1", "auto"}, {"info", "xml"}} {
		if _, err := bad.logger(&b); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
