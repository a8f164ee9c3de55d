package stream

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestComplaintsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
		lines := func(n int, last string) {
			t.Helper()
			if got := strings.Count(log.String(), "\n"); got != n || !strings.HasSuffix(log.String(), last+"\n") {
				t.Fatalf("%d lines, want %d, the last with %s:\n%s", got, n, last, log.String())
			}
		}
		fail := func(name string) { s.Complain("a connection failed", "route", name, errors.New("refused")) }
		fail("a")
		lines(1, "route=a error=refused leftOut=0")
		fail("a")
		fail("a")
		fail("b")
		lines(2, "route=b error=refused leftOut=0")
		time.Sleep(complainEvery)
		fail("a")
		lines(3, "route=a error=refused leftOut=2")
		for i := range 2 * maxComplaints {
			fail(fmt.Sprint("route ", i))
		}
		if n := len(s.complaints.kind); n > maxComplaints {
			t.Errorf("%d kinds are kept", n)
		}
		time.Sleep(complainEvery)
		before := strings.Count(log.String(), "\n")
		fail("new")
		lines(before+1, "route=new error=refused leftOut=0")
	})
}
