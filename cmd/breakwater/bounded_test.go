package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBoundedLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		log := bounded(slog.New(slog.NewTextHandler(&text, nil)))
		fill := func() {
			for range 2 * eventsPerMinute {
				log.With("a", 1).Info("event")
			}
		}
		fill()
		log.Warn("careful")
		if n := strings.Count(text.String(), "msg=event a=1"); n != eventsPerMinute || strings.Count(text.String(), "careful") != 1 {
			t.Errorf("%d lines", n)
		}
		text.Reset()
		time.Sleep(time.Minute)
		log.Info("later")
		if got := text.String(); !strings.Contains(got, "left out") || !strings.Contains(got, "lines=600\n") || !strings.Contains(got, "msg=later") {
			t.Errorf("got\n%s", got)
		}
	})
}
