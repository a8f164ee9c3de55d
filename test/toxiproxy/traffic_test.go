package toxiproxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	tp "github.com/Shopify/toxiproxy/v2/client"

	"github.com/breakwater-gateway/breakwater/proxy/toxiproxy"
)

// patience bounds what should be immediate. Nothing is measured against it.
const patience = 20 * time.Second

// db makes a proxy in front of an echo server through the official tp.
func db(t *testing.T, cfg toxiproxy.Config) (*tp.Client, *tp.Proxy) {
	t.Helper()
	c := tp.NewClient(ours(t, cfg))
	p, err := c.CreateProxy("db", "127.0.0.1:0", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	return c, p
}

func dial(t *testing.T, p *tp.Proxy) *net.TCPConn {
	t.Helper()
	nc, err := net.Dial("tcp", p.Listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	return nc.(*net.TCPConn)
}

// pingPong sends a message and reads it back; it returns how long that took.
func pingPong(t *testing.T, nc net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	if _, err := io.WriteString(nc, "ping"); err != nil {
		t.Fatal(err)
	}
	var buf [4]byte
	if _, err := io.ReadFull(nc, buf[:]); err != nil || string(buf[:]) != "ping" {
		t.Fatalf("got %q, %v", buf, err)
	}
	return time.Since(began)
}

func add(t *testing.T, p *tp.Proxy, name, typ, stream string, toxicity float32, attributes tp.Attributes) {
	t.Helper()
	if _, err := p.AddToxic(name, typ, stream, toxicity, attributes); err != nil {
		t.Fatal(err)
	}
}

func TestOfficialClientGoesThroughTheLifeOfAProxy(t *testing.T) {
	c, p := db(t, toxiproxy.Config{})
	nc := dial(t, p)
	pingPong(t, nc)
	if err := p.Disable(); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a connection of a disabled proxy ends with %v", err)
	}
	if other, err := net.Dial("tcp", p.Listen); err == nil {
		_ = other.Close()
		t.Error("a disabled proxy is connected to")
	}
	if err := p.Enable(); err != nil {
		t.Fatal(err)
	}
	pingPong(t, dial(t, p))
	all, err := c.Proxies()
	if err != nil || len(all) != 1 || !all["db"].Enabled {
		t.Errorf("proxies %v, %v", all, err)
	}
	populated, err := c.Populate([]tp.Proxy{
		{Name: "db", Listen: p.Listen, Upstream: p.Upstream, Enabled: true},
		{Name: "other", Listen: "127.0.0.1:0", Upstream: p.Upstream, Enabled: true},
	})
	if err != nil || len(populated) != 2 {
		t.Fatalf("populate: %v, %v", populated, err)
	}
	if err := c.ResetState(); err != nil {
		t.Fatal(err)
	}
	if err := p.Delete(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Proxy("db"); err == nil {
		t.Error("a deleted proxy is found")
	}
}

func TestToxicsComeAndGoOnLiveConnections(t *testing.T) {
	_, p := db(t, toxiproxy.Config{})
	nc := dial(t, p)
	pingPong(t, nc)
	add(t, p, "up", "latency", "upstream", 1, tp.Attributes{"latency": 60})
	add(t, p, "down", "latency", "downstream", 1, tp.Attributes{"latency": 40})
	if took := pingPong(t, nc); took < 100*time.Millisecond {
		t.Errorf("two latencies of 60 and 40 ms add up to %v", took)
	}
	if _, err := p.UpdateToxic("up", 1, tp.Attributes{"latency": 10}); err != nil {
		t.Fatal(err)
	}
	if took := pingPong(t, nc); took < 50*time.Millisecond {
		t.Errorf("latencies of 10 and 40 ms add up to %v", took)
	}
	for _, name := range []string{"up", "down"} {
		if err := p.RemoveToxic(name); err != nil {
			t.Fatal(err)
		}
	}
	pingPong(t, nc)
}

func TestLimitDataIsExact(t *testing.T) {
	_, p := db(t, toxiproxy.Config{})
	add(t, p, "", "limit_data", "downstream", 1, tp.Attributes{"bytes": 12345})
	nc := dial(t, p)
	go func() { _, _ = nc.Write(make([]byte, 50_000)) }()
	n, err := io.Copy(io.Discard, nc)
	if n != 12345 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestStateOfLimitDataSurvivesAnUpdate(t *testing.T) {
	_, p := db(t, toxiproxy.Config{})
	add(t, p, "limit", "limit_data", "downstream", 1, tp.Attributes{"bytes": 6})
	nc := dial(t, p)
	pingPong(t, nc)
	if _, err := p.UpdateToxic("limit", 1, tp.Attributes{"bytes": 8}); err != nil {
		t.Fatal(err)
	}
	pingPong(t, nc)
	if n, err := nc.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after 8 bytes of 8: %d bytes, %v", n, err)
	}
}

func TestHalfCloseIsPassedOn(t *testing.T) {
	_, p := db(t, toxiproxy.Config{})
	nc := dial(t, p)
	if _, err := io.WriteString(nc, "question"); err != nil {
		t.Fatal(err)
	}
	if err := nc.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(nc); string(got) != "question" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestResetPeerFiresOnASilentConnection(t *testing.T) {
	_, p := db(t, toxiproxy.Config{})
	nc := dial(t, p)
	pingPong(t, nc)
	add(t, p, "", "reset_peer", "downstream", 1, tp.Attributes{"timeout": 20})
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

func TestResetPeerWithoutToxicityResetsNobody(t *testing.T) {
	_, p := db(t, toxiproxy.Config{})
	add(t, p, "", "reset_peer", "downstream", 0, tp.Attributes{"timeout": 0})
	for range 20 {
		nc := dial(t, p)
		pingPong(t, nc)
		if err := nc.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(nc); len(rest) != 0 || err != nil {
			t.Fatalf("%q, %v", rest, err)
		}
	}
}

func TestRemovalDoesNotWaitForAClientThatNeverReads(t *testing.T) {
	url := ours(t, toxiproxy.Config{})
	c := tp.NewClient(url)
	p, err := c.CreateProxy("flood", "127.0.0.1:0", source(t))
	if err != nil {
		t.Fatal(err)
	}
	add(t, p, "slow", "latency", "downstream", 1, tp.Attributes{"latency": 1})
	for range 4 {
		nc := dial(t, p)
		if _, err := io.ReadFull(nc, make([]byte, 1)); err != nil { // it flows; nothing is read from here on
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() {
		for range 10 {
			if err := p.RemoveToxic("slow"); err != nil {
				done <- err
				return
			}
			if _, err := p.AddToxic("slow", "latency", "downstream", 1, tp.Attributes{"latency": 1}); err != nil {
				done <- err
				return
			}
			if _, err := c.Proxies(); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the API hangs")
	}
}

// source serves connections that it writes to without end, and returns its address.
func source(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				buf := make([]byte, 64<<10)
				for {
					if _, err := nc.Write(buf); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

func TestRemovalOfTimeoutClosesWhatItHeld(t *testing.T) {
	for _, strict := range []bool{false, true} {
		upstream, arrived := tellingEcho(t)
		p, err := tp.NewClient(ours(t, toxiproxy.Config{Strict: strict})).CreateProxy("db", "127.0.0.1:0", upstream)
		if err != nil {
			t.Fatal(err)
		}
		nc := dial(t, p)
		pingPong(t, nc)
		<-arrived
		add(t, p, "hold", "timeout", "downstream", 1, tp.Attributes{"timeout": 0})
		if _, err := io.WriteString(nc, "ping"); err != nil {
			t.Fatal(err)
		}
		<-arrived // closing a connection with bytes that nobody has read would reset it
		if err := p.RemoveToxic("hold"); err != nil {
			t.Fatal(err)
		}
		if strict {
			var buf [4]byte
			if _, err := io.ReadFull(nc, buf[:]); err != nil || string(buf[:]) != "ping" {
				t.Errorf("what was held back: %q, %v", buf, err)
			}
		} else if _, err := io.Copy(io.Discard, nc); err != nil {
			t.Errorf("ends with %v", err)
		}
	}
}

// tellingEcho serves one connection that gets back every four bytes it sends, and tells of each four that have arrived.
func tellingEcho(t *testing.T) (address string, arrived <-chan struct{}) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	told := make(chan struct{}, 16)
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		for buf := make([]byte, 4); ; {
			if _, err := io.ReadFull(nc, buf); err != nil {
				return
			}
			told <- struct{}{}
			if _, err := nc.Write(buf); err != nil {
				return
			}
		}
	}()
	return ln.Addr().String(), told
}

// The seed decides: one repeats what it has decided, and another decides otherwise.
func TestSeedHasAnEffect(t *testing.T) {
	decided := func(seed uint64) string {
		_, p := db(t, toxiproxy.Config{Seed: seed})
		add(t, p, "cut", "limit_data", "downstream", 0.5, tp.Attributes{"bytes": 0})
		var b strings.Builder
		for range 32 {
			nc := dial(t, p)
			if _, err := io.WriteString(nc, "ping"); err != nil {
				t.Fatal(err)
			}
			n, _ := nc.Read(make([]byte, 4))
			fmt.Fprint(&b, min(n, 1))
		}
		return b.String()
	}
	first := decided(1)
	if !strings.Contains(first, "0") || !strings.Contains(first, "1") {
		t.Fatalf("no mixture: %s", first)
	}
	if again := decided(1); again != first {
		t.Errorf("with the same seed:\n%s\n%s", first, again)
	}
	if other := decided(2); other == first {
		t.Errorf("another seed decides the same: %s", other)
	}
}

func TestToxicityIsNotDecidedAgainByNeighbours(t *testing.T) {
	_, p := db(t, toxiproxy.Config{Seed: 42})
	add(t, p, "cut", "reset_peer", "downstream", 0.5, tp.Attributes{"timeout": 0})
	const connections = 24
	decided := func() string {
		var b strings.Builder
		for i := range connections {
			nc, err := net.Dial("tcp", p.Listen) // a reset may come so soon that this fails
			if err == nil {
				_ = nc.SetDeadline(time.Now().Add(patience))
				_, _ = io.WriteString(nc, "ping")
				_, err = io.ReadFull(nc, make([]byte, 4))
				_ = nc.Close()
			}
			fmt.Fprintf(&b, "%d%v ", i, err == nil)
		}
		return b.String()
	}
	first := decided()
	if !strings.Contains(first, "true") || !strings.Contains(first, "false") {
		t.Fatalf("no mixture: %s", first)
	}
	// The same connections through a proxy made in the same way, with neighbours that come and go.
	_, p = db(t, toxiproxy.Config{Seed: 42})
	add(t, p, "before", "noop", "downstream", 1, nil)
	add(t, p, "cut", "reset_peer", "downstream", 0.5, tp.Attributes{"timeout": 0})
	add(t, p, "after", "noop", "downstream", 0.5, nil)
	if err := p.RemoveToxic("before"); err != nil {
		t.Fatal(err)
	}
	if second := decided(); first != second {
		t.Errorf("with neighbours and the same seed:\n%s\n%s", first, second)
	}
}

// A dial to an upstream that never answers keeps nobody out of the same proxy.
func TestBlackHoledDialDoesNotKeepOthersOut(t *testing.T) {
	dials, held := make(chan struct{}, 2), make(chan struct{})
	defer close(held)
	var count atomic.Int32
	c := tp.NewClient(ours(t, toxiproxy.Config{Refuse: func(netip.AddrPort) error { // is part of each dial
		first := count.Add(1) == 1
		dials <- struct{}{}
		if first {
			<-held
		}
		return nil
	}}))
	p, err := c.CreateProxy("hole", "127.0.0.1:0", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	dial(t, p)
	<-dials
	pingPong(t, dial(t, p))
}

func TestBlackHoledDialEndsWithAChangeOfTheUpstream(t *testing.T) {
	c := tp.NewClient(ours(t, toxiproxy.Config{DialTimeout: time.Hour}))
	p, err := c.CreateProxy("hole", "127.0.0.1:0", "192.0.2.1:9") // RFC 5737: nobody answers, or it cannot be reached
	if err != nil {
		t.Fatal(err)
	}
	first := dial(t, p)
	p.Upstream = echo(t)
	if err := p.Save(); err != nil {
		t.Fatal(err)
	}
	pingPong(t, dial(t, p))
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Error("a connection to the former upstream goes on")
	}
}

func TestDeadUpstreamClosesTheClient(t *testing.T) {
	for _, strict := range []bool{false, true} {
		c := tp.NewClient(ours(t, toxiproxy.Config{Strict: strict}))
		p, err := c.CreateProxy("dead", "127.0.0.1:0", "127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		nc, err := net.Dial("tcp", p.Listen) // a reset may come so soon that this fails
		if err == nil {
			_ = nc.SetDeadline(time.Now().Add(patience))
			_, err = nc.Read(make([]byte, 1))
			_ = nc.Close()
		}
		if strict != errors.Is(err, syscall.ECONNRESET) || !strict && err != io.EOF {
			t.Errorf("strict %v: %v", strict, err)
		}
	}
}

// A body is taken up to a bound and refused beyond it, whatever it says: each here is good but for its length.
func TestLargeBodiesAreRefused(t *testing.T) {
	const bound = 1 << 20
	url, count := ours(t, toxiproxy.Config{}), 0
	fresh := func() string { count++; return fmt.Sprint("x", count) }
	if status, _, body := call(t, "POST", url+"/proxies", `{"name":"p","upstream":"u:1","enabled":false}`); status != 201 {
		t.Fatal(body)
	}
	if status, _, body := call(t, "POST", url+"/proxies/p/toxics", `{"name":"t","type":"noop"}`); status != 200 {
		t.Fatal(body)
	}
	for _, route := range []struct {
		path   string
		first  func() string // all of the body but the bracket that ends it
		last   string
		status int
	}{
		{"/proxies", func() string { return `{"name":"` + fresh() + `","upstream":"u:1","enabled":false` }, "}", 201},
		{"/populate", func() string { return `[{"name":"` + fresh() + `","listen":":0","upstream":"u:1","enabled":false}` }, "]", 201},
		{"/proxies/p", func() string { return `{"enabled":false` }, "}", 200},
		{"/proxies/p/toxics", func() string { return `{"type":"noop","name":"` + fresh() + `"` }, "}", 200},
		{"/proxies/p/toxics/t", func() string { return `{"toxicity":1` }, "}", 200},
	} {
		for over, want := range []int{route.status, http.StatusRequestEntityTooLarge} {
			for _, chunked := range []bool{false, true} {
				first := route.first()
				body := io.Reader(strings.NewReader(first + strings.Repeat(" ", bound+over-len(first)-len(route.last)) + route.last))
				if chunked {
					body = io.MultiReader(body) // whose length the client cannot know
				}
				res, err := http.Post(url+route.path, "application/json", body)
				if err != nil {
					t.Fatal(err)
				}
				answer, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if res.StatusCode != want || over > 0 && !strings.Contains(string(answer), "bad request body: larger than 1 MiB") {
					t.Errorf("%s, %d bytes over the bound, chunked %v: %d %s", route.path, over, chunked, res.StatusCode, answer)
				}
			}
		}
	}
}

func TestPageInABrowserIsRefused(t *testing.T) {
	url := ours(t, toxiproxy.Config{})
	for _, header := range [][]string{{"User-Agent", "Mozilla/5.0"}, {"Origin", "http://example.com"}, {"Sec-Fetch-Site", "cross-site"}} {
		if status, _, _ := call(t, "POST", url+"/reset", "", header...); status != http.StatusForbidden {
			t.Errorf("%v: %d", header, status)
		}
	}
}
