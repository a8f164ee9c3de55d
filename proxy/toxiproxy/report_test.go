package toxiproxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/accept"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
)

// reported waits until a proxy's part of the report is as a test wants it, and returns it.
func reported(t *testing.T, e *chaos.Engine, proxy string, isComplete func(*chaos.ExperimentReport) bool) *chaos.ExperimentReport {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		r := e.Report()
		for i := range r.Experiments {
			if x := &r.Experiments[i]; x.Name == proxy && isComplete(x) {
				return x
			}
		}
		if time.Now().After(end) {
			text, _ := json.MarshalIndent(r.Experiments, "", " ")
			t.Fatalf("%s is never as it should be: %s", proxy, text)
		}
	}
}

// waitUntilEnded waits until a proxy has no connections.
func waitUntilEnded(t *testing.T, p *proxyServer) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		open := len(p.conns)
		p.mu.Unlock()
		if open == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d connections are open", open)
		}
	}
}

// saw returns what tells whether so many streams have ended.
func saw(streams uint64) func(*chaos.ExperimentReport) bool {
	return func(x *chaos.ExperimentReport) bool {
		return x.InjectedTraffic.Connections+x.UninjectedTraffic.Connections == streams
	}
}

// answered sends four bytes and returns what comes back.
func answered(t *testing.T, port uint16) (string, error) {
	t.Helper()
	nc := connect(t, port)
	defer nc.Close()
	if _, err := io.WriteString(nc, "ping"); err != nil {
		return "", err
	}
	got := make([]byte, 4)
	n, err := io.ReadFull(nc, got)
	return string(got[:n]), err
}

// Each toxic does what it does to one connection of an echo, and the report says so, also when it has been removed and its proxy too.
func TestToxicsAreReported(t *testing.T) {
	for _, c := range []struct {
		body     string
		comes    string
		err      error
		ended    uint64
		failed   uint64
		bytes    int64
		delay    float64 // at least, in seconds
		answered uint64
	}{
		{`{"type":"latency","attributes":{"latency":30}}`, "ping", nil, 0, 0, 4, 0.03, 1},
		{`{"type":"latency","attributes":{"latency":30},"toxicity":0}`, "ping", nil, 0, 0, 0, 0, 0},
		{`{"type":"limit_data","attributes":{"bytes":2}}`, "pi", io.ErrUnexpectedEOF, 1, 1, 4, 0, 1},
		{`{"type":"timeout","attributes":{"timeout":20}}`, "", io.EOF, 1, 1, 4, 0, 0},
		{`{"type":"reset_peer","attributes":{"timeout":20}}`, "", syscall.ECONNRESET, 1, 1, 4, 0, 0},
	} {
		t.Run(c.body, func(t *testing.T) {
			e := chaos.New(chaos.Config{})
			t.Cleanup(e.Close)
			s := serve(t, Config{Chaos: e, Seed: 1})
			port := create(t, s, "db", "127.0.0.1:0")
			if status, body := ask(s, "POST", "/proxies/db/toxics", c.body); status != 200 {
				t.Fatalf("%d %s", status, body)
			}
			if got, err := answered(t, port); got != c.comes || !errors.Is(err, c.err) {
				t.Errorf("%q came back, %v", got, err)
			}
			x := reported(t, e, "db", saw(1))
			toxic := x.Toxics[0]
			applied := uint64(1)
			if strings.Contains(c.body, "toxicity") {
				applied = 0
			}
			if x.Matched != 1 || x.Injected != applied || toxic.Manual.Matched != 1 || toxic.Applied != applied || toxic.Ended != c.ended ||
				toxic.Bytes != c.bytes || toxic.Delay.Max < c.delay || x.InjectedTraffic.Failed != c.failed || x.InjectedTraffic.Latency.Count != c.answered {
				t.Errorf("got %+v", x)
			}
			ask(s, "DELETE", "/proxies/db/toxics/"+toxic.Name, "")
			ask(s, "DELETE", "/proxies/db", "")
			if x = reported(t, e, "db", saw(1)); x.Phase != "Removed" || !x.Toxics[0].Manual.Removed {
				t.Errorf("after its end: %+v", x)
			}
		})
	}
}

// Whatever takes toxics away ends what is reported of them as being in force.
func TestEndsAreReported(t *testing.T) {
	for _, end := range []struct{ method, path, body string }{
		{"DELETE", "/proxies/db/toxics/a", ""}, {"DELETE", "/proxies/db", ""}, {"POST", "/reset", ""},
		{"POST", "/populate", `[{"name":"db","listen":"127.0.0.1:0","upstream":"127.0.0.1:2"}]`},
	} {
		e := chaos.New(chaos.Config{})
		s := serve(t, Config{Chaos: e})
		create(t, s, "db", "127.0.0.1:0")
		ask(s, "POST", "/proxies/db/toxics", `{"type":"noop","name":"a"}`)
		reported(t, e, "db", func(x *chaos.ExperimentReport) bool { return x.Phase == "Active" })
		if status, body := ask(s, end.method, end.path, end.body); status >= 300 {
			t.Fatalf("%s %s: %d %s", end.method, end.path, status, body)
		}
		x := reported(t, e, "db", func(x *chaos.ExperimentReport) bool { return true })
		if x.Phase != "Removed" || !x.Toxics[0].Manual.Removed {
			t.Errorf("%s %s: %+v", end.method, end.path, x)
		}
		s.Close()
		e.Close()
	}
}

// A toxic that is changed goes on in its row, with the connections that are open, and a proxy that is deleted is no fault.
func TestChangesAreReported(t *testing.T) {
	var log bytes.Buffer
	e := chaos.New(chaos.Config{FaultLog: &log})
	s := serve(t, Config{Chaos: e, Seed: 5})
	port := create(t, s, "db", "127.0.0.1:0")
	before := connect(t, port)
	ping(t, before)
	ask(s, "POST", "/proxies/db/toxics", `{"type":"latency","attributes":{"latency":1}}`)
	ping(t, before)
	ask(s, "POST", "/proxies/db/toxics/latency_downstream", `{"attributes":{"latency":2}}`)
	ping(t, before)
	ask(s, "DELETE", "/proxies/db", "")
	x := reported(t, e, "db", saw(1))
	if m := x.Toxics[0].Manual; x.Phase != "Removed" || len(x.Toxics) != 1 || m.Attributes != "jitter=0 latency=2" || m.Changes != 1 || x.Matched != 1 || x.Toxics[0].Bytes != 8 {
		t.Errorf("got %+v, %+v", x, m)
	}
	if got := x.InjectedTraffic; got.Failed != 0 || got.UpstreamBytes != 12 || got.DownstreamBytes != 12 {
		t.Errorf("its client saw %+v", got)
	}
	s.Close()
	e.Close()
	_, upstream, _ := strings.Cut(log.String(), `"target":"`)
	upstream, _, _ = strings.Cut(upstream, `"`)
	if _, _, err := net.SplitHostPort(upstream); err != nil || strings.Count(log.String(), "\n") != 4 ||
		strings.Count(log.String(), `"object":"Toxiproxy//db","toxic":"latency_downstream","target":"`+upstream+`","ordinal":0,`) != 4 ||
		strings.Count(log.String(), `"decision":"end","bytes":4,`) != 2 || strings.Count(log.String(), `"seed":5}`) != 4 {
		t.Errorf("the fault log says\n%s", log.String())
	}
}

// What a client of the API takes a connection for depends on why it was closed.
func TestClosedConnectionsAreReported(t *testing.T) {
	for _, c := range []struct {
		name, method, path, body string
		toxic                    string
		failed                   uint64
	}{
		{"the proxy is disabled", "POST", "/proxies/db", `{"enabled":false}`, "noop", 1},
		{"the proxy is deleted", "DELETE", "/proxies/db", "", "noop", 0},
		{"a timeout is removed", "DELETE", "/proxies/db/toxics/x", "", "timeout", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, Config{})
			port := create(t, s, "db", "127.0.0.1:0")
			nc := connect(t, port)
			ping(t, nc)
			ask(s, "POST", "/proxies/db/toxics", fmt.Sprintf(`{"type":%q,"name":"x"}`, c.toxic))
			ask(s, c.method, c.path, c.body)
			if x := reported(t, s.cfg.Chaos, "db", saw(1)); x.InjectedTraffic.Failed != c.failed {
				t.Errorf("%d failed, want %d", x.InjectedTraffic.Failed, c.failed)
			}
		})
	}
}

// Connections that the API closes, and no toxic, are in the report with the reason, be there toxics or not.
func TestCutConnectionsAreReported(t *testing.T) {
	for _, c := range []struct {
		name, method, path, body string
		toxic                    string // "" is none
		strict                   bool
		want                     string
	}{
		{"disabled", "POST", "/proxies/db", `{"enabled":false}`, "", false, "[{db disabled 2}]"},
		{"disabled, with a toxic", "PATCH", "/proxies/db", `{"enabled":false}`, "noop", true, "[{db disabled 2}]"},
		{"disabled and moved", "POST", "/proxies/db", `{"enabled":false,"upstream":"127.0.0.1:1"}`, "", false, "[{db disabled 2}]"},
		{"deleted", "DELETE", "/proxies/db", "", "", false, "[{db deleted 2}]"},
		{"moved", "POST", "/proxies/db", `{"upstream":"127.0.0.1:1"}`, "", false, "[{db moved 2}]"},
		{"replaced", "POST", "/populate", `[{"name":"db","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}]`, "", false, "[{db moved 2}]"},
		{"released", "DELETE", "/proxies/db/toxics/x", "", "timeout", false, "[{db released 2}]"},
		{"reset", "POST", "/reset", "", "timeout", false, "[{db released 2}]"},
		{"released, but not cut", "POST", "/reset", "", "timeout", true, "[]"},
		{"left as it is", "POST", "/proxies/db", `{"enabled":true}`, "", false, "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, Config{Strict: c.strict})
			port := create(t, s, "db", "127.0.0.1:0")
			for range 2 {
				ping(t, connect(t, port))
			}
			if c.toxic != "" {
				ask(s, "POST", "/proxies/db/toxics", fmt.Sprintf(`{"type":%q,"name":"x"}`, c.toxic))
			}
			if status, body := ask(s, c.method, c.path, c.body); status >= 300 {
				t.Fatal(body)
			}
			s.Close() // what this closes is not worth a word
			if got := fmt.Sprint(s.cfg.Chaos.Report().Cut); got != c.want {
				t.Errorf("cut are %s, want %s", got, c.want)
			}
		})
	}
}

// Connections beyond the bound are counted, and in the report.
func TestRefusedConnectionsAreReported(t *testing.T) {
	s := serve(t, Config{Connections: accept.NewBound(1)})
	port := create(t, s, "db", "127.0.0.1:0")
	first := connect(t, port)
	ping(t, first)
	for range 3 {
		if !ended(connect(t, port)) {
			t.Error("a second connection is served")
		}
	}
	if got := fmt.Sprint(s.cfg.Chaos.Report().Cut); got != "[{db too_many 3}]" || s.cfg.Chaos.CutCounts()["too_many"] != 3 {
		t.Errorf("cut are %s, counted %v", got, s.cfg.Chaos.CutCounts())
	}
	ping(t, first)
}

// An upstream that cannot be reached is what clients see, and connections without toxics are none of the report's.
func TestConnectionsThatAreReported(t *testing.T) {
	s := serve(t, Config{})
	port := create(t, s, "db", "127.0.0.1:0")
	if status, body := ask(s, "POST", "/proxies/db", `{"upstream":"127.0.0.1:1"}`); status != 200 {
		t.Fatal(body)
	}
	_, _ = answered(t, port)
	waitUntilEnded(t, s.proxies["db"])
	ask(s, "POST", "/proxies/db/toxics", `{"type":"noop"}`)
	s.SetEnabled(false)
	_, _ = answered(t, port)
	waitUntilEnded(t, s.proxies["db"])
	s.SetEnabled(true)
	_, _ = answered(t, port)
	x := reported(t, s.cfg.Chaos, "db", saw(1))
	if x.InjectedTraffic.Failed != 1 || x.Matched != 1 {
		t.Errorf("got %+v", x)
	}
}

// Reports, changes and traffic get along.
func TestReportsUnderLoad(t *testing.T) {
	s := serve(t, Config{})
	port := create(t, s, "db", "127.0.0.1:0")
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 50 {
				toxic := fmt.Sprintf(`{"name":"t%d","type":"latency","attributes":{"latency":%d},"toxicity":0.5}`, i, n%2)
				ask(s, "POST", "/proxies/db/toxics", toxic)
				_, _ = answered(t, port)
				ask(s, "POST", fmt.Sprintf("/proxies/db/toxics/t%d", i), toxic)
				if n%10 == 0 {
					s.cfg.Chaos.ForgetDeleted()
				}
				_ = s.cfg.Chaos.Report()
				ask(s, "DELETE", fmt.Sprintf("/proxies/db/toxics/t%d", i), "")
			}
		})
	}
	all.Wait()
	s.cfg.Chaos.ForgetDeleted()
	if left := s.cfg.Chaos.Report().Experiments; len(left) != 0 {
		t.Errorf("left are %+v", left)
	}
}

// What was open when the toxics were switched off and on again is one connection still.
func TestSwitchesCountNothingAnew(t *testing.T) {
	e := chaos.New(chaos.Config{})
	t.Cleanup(e.Close)
	s := serve(t, Config{Chaos: e, Seed: 1})
	e.FollowSwitches(s.SetEnabled)
	port := create(t, s, "db", "127.0.0.1:0")
	ask(s, "POST", "/proxies/db/toxics", `{"type":"noop"}`)
	nc := connect(t, port)
	ping(t, nc)
	for range 3 {
		e.SetEnabled(false)
		e.SetEnabled(true)
		ping(t, nc)
	}
	_ = nc.Close()
	x := reported(t, e, "db", saw(1))
	one := x.Toxics[0]
	if n := e.ManualCounts()["noop"]; x.Matched != 1 || one.Manual.Matched != 1 || one.Decided != 1 || one.Applied != 1 || n != 1 {
		t.Errorf("%d on connections, %+v", n, x)
	}
}
