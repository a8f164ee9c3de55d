package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// sample returns an Exchange with every field that is logged, and when it ended.
func sample() (*proxy.Exchange, time.Time) {
	id := routeID("cart", 2, 1)
	x := &proxy.Exchange{
		Start: time.Date(2026, 3, 4, 5, 6, 7, 8_009_999, time.UTC),
		Request: proxy.Request{
			Method: []byte("GET"), Host: []byte("shop.example.com"), Path: []byte("/cart"),
			Query: []byte("token=secret"), HasQuery: true, Minor: 1,
			Header: proxy.Header{Fields: []proxy.Field{
				{Name: []byte("user-agent"), Value: []byte("curl/8")},
				{Name: []byte("Referer"), Value: []byte("http://other/")},
				{Name: []byte("X-Request-Id"), Value: []byte("abc-1")},
			}},
			ClientIP: netip.MustParseAddr("192.0.2.7"),
		},
		Response:      proxy.Response{Status: 200},
		Route:         &proxy.Route{ID: id},
		Backend:       &proxy.WeightedBackend{Backend: cart},
		Endpoint:      proxy.Endpoint{Address: netip.MustParseAddrPort("10.0.0.3:8080")},
		Attempts:      2,
		UpstreamTime:  1500 * time.Microsecond,
		RequestBytes:  3,
		ResponseBytes: 4096,
	}
	return x, x.Start.Add(12345678 * time.Nanosecond)
}

func logged(t testing.TB, o telemetry.LogOptions, x *proxy.Exchange, end time.Time) string {
	t.Helper()
	var out bytes.Buffer
	l := telemetry.NewAccessLog(&out, o, telemetry.New())
	l.Log(x, end)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestLines(t *testing.T) {
	full, end := sample()
	failed, _ := sample()
	failed.Response = proxy.Response{Status: 503, Local: true}
	failed.Endpoint = proxy.Endpoint{Hostname: "db.example.net", Address: netip.AddrPortFrom(netip.Addr{}, 99)}
	failed.UpstreamTime, failed.ResponseBytes = 0, 0
	failed.Route.ID.Rule = -1
	failed.Failure = &proxy.Error{Side: proxy.Upstream, Op: "connect", Err: errors.New("connection refused")}
	faulty := *full
	faulty.Experiments = []proxy.ObjectID{{Kind: "NetworkChaos", Namespace: "shop", Name: "a"}, {Kind: "NetworkChaos", Namespace: "shop", Name: "b"}}
	empty := &proxy.Exchange{Start: full.Start}
	for _, c := range []struct {
		name string
		o    telemetry.LogOptions
		x    *proxy.Exchange
		want string
	}{
		{"json", telemetry.LogOptions{}, full, `{"time":"2026-03-04T05:06:07.008009Z","clientIP":"192.0.2.7","method":"GET",` +
			`"host":"shop.example.com","path":"/cart","protocol":"HTTP/1.1","status":200,"requestBytes":3,"responseBytes":4096,` +
			`"duration":0.012346,"route":"HTTPRoute/shop/cart/2","backend":"shop/cart:80","endpoint":"10.0.0.3:8080","attempts":2,` +
			`"upstreamDuration":0.001500,"requestID":"abc-1","userAgent":"curl/8","referer":"http://other/"}`},
		{"json failed", telemetry.LogOptions{Format: telemetry.JSON, Query: true}, failed, `{"time":"2026-03-04T05:06:07.008009Z",` +
			`"clientIP":"192.0.2.7","method":"GET","host":"shop.example.com","path":"/cart","query":"token=secret","protocol":"HTTP/1.1",` +
			`"status":503,"requestBytes":3,"responseBytes":0,"duration":0.012346,"route":"HTTPRoute/shop/cart/default",` +
			`"backend":"shop/cart:80","endpoint":"db.example.net:99","attempts":2,"error":"upstream: connect: connection refused",` +
			`"requestID":"abc-1","userAgent":"curl/8","referer":"http://other/"}`},
		{"json faulty", telemetry.LogOptions{}, &faulty, `{"time":"2026-03-04T05:06:07.008009Z","clientIP":"192.0.2.7","method":"GET",` +
			`"host":"shop.example.com","path":"/cart","protocol":"HTTP/1.1","status":200,"requestBytes":3,"responseBytes":4096,` +
			`"duration":0.012346,"route":"HTTPRoute/shop/cart/2","backend":"shop/cart:80","endpoint":"10.0.0.3:8080","attempts":2,` +
			`"upstreamDuration":0.001500,"experiments":["NetworkChaos/shop/a","NetworkChaos/shop/b"],` +
			`"requestID":"abc-1","userAgent":"curl/8","referer":"http://other/"}`},
		{"json empty", telemetry.LogOptions{}, empty, `{"time":"2026-03-04T05:06:07.008009Z","clientIP":"-","protocol":"HTTP/1.0",` +
			`"status":0,"requestBytes":0,"responseBytes":0,"duration":0.012346}`},
		{"common", telemetry.LogOptions{Format: telemetry.Common}, full,
			`192.0.2.7 - - [04/Mar/2026:05:06:07 +0000] "GET /cart HTTP/1.1" 200 4096`},
		{"combined", telemetry.LogOptions{Format: telemetry.Combined, Query: true}, full,
			`192.0.2.7 - - [04/Mar/2026:05:06:07 +0000] "GET /cart?token=secret HTTP/1.1" 200 4096 "http://other/" "curl/8"`},
		{"combined empty", telemetry.LogOptions{Format: telemetry.Combined}, empty,
			`- - - [04/Mar/2026:05:06:07 +0000] "  HTTP/1.0" 0 - "-" "-"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := logged(t, c.o, c.x, end); got != c.want+"\n" {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

func TestRewrittenRequestIsLoggedAsAsked(t *testing.T) {
	x, end := sample()
	x.KeepOriginal()
	x.Request.Path, x.Request.Host = []byte("/inner"), []byte("inner.example.com")
	got := logged(t, telemetry.LogOptions{}, x, end)
	if !strings.Contains(got, `"host":"shop.example.com","path":"/cart"`) || strings.Contains(got, "inner") {
		t.Errorf("got %s", got)
	}
}

func TestDurationsAreSecondsToTheMicrosecond(t *testing.T) {
	x, _ := sample()
	for d, want := range map[time.Duration]string{
		-time.Second: "0.000000", 0: "0.000000", 499: "0.000000", 500: "0.000001", time.Second: "1.000000",
		time.Hour + 23456789*time.Nanosecond: "3600.023457", 999999500: "1.000000",
	} {
		if line := logged(t, telemetry.LogOptions{}, x, x.Start.Add(d)); !strings.Contains(line, `"duration":`+want+",") {
			t.Errorf("%v is not %s in %s", d, want, line)
		}
	}
}

// hostile are values that would forge a line, a key or a terminal sequence if they were written as they are.
var hostile = []string{
	"\r\n{\"status\":200}\n", `","status":"200`, `\`, `\"`, "\x00\x1b[2J\x7f", "\xff\xfe\xc3", "a\u2028b\u2029c", "\u0085",
	strings.Repeat("é", 5000), `\u000a`, "😀\ud7ff", "\xed\xa0\x80",
}

func TestHostileValuesStayInsideTheirLine(t *testing.T) {
	for _, v := range hostile {
		checkLines(t, []byte(v), []byte(v), []byte(v))
	}
}

func FuzzLines(f *testing.F) {
	for _, v := range hostile {
		f.Add([]byte(v), []byte("/"), []byte(v))
	}
	f.Fuzz(func(t *testing.T, host, path, agent []byte) { checkLines(t, host, path, agent) })
}

// checkLines writes the values in every place a client controls, and checks that they come out as one line that says
// what they were.
func checkLines(t *testing.T, host, path, agent []byte) {
	t.Helper()
	x, end := sample()
	x.Request.Method, x.Request.Host, x.Request.Path, x.Request.Query = host, host, path, path
	x.Request.Header.Fields[0].Value, x.Request.Header.Fields[1].Value, x.Request.Header.Fields[2].Value = agent, agent, agent
	x.Failure = &proxy.Error{Op: string(path), Err: errors.New(string(agent))}
	x.Endpoint.Hostname = string(host)

	line := logged(t, telemetry.LogOptions{Query: true}, x, end)
	if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
		t.Fatalf("not one line: %q", line)
	}
	for _, r := range line[:len(line)-1] {
		if r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 {
			t.Fatalf("%U in %q", r, line)
		}
	}
	d := json.NewDecoder(strings.NewReader(line))
	var got struct {
		Host      string
		UserAgent string
		Status    int
	}
	if err := d.Decode(&got); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	if d.More() {
		t.Fatalf("more than one value in %q", line)
	}
	if want := jsonText(host); got.Host != want || got.UserAgent != jsonText(agent) || got.Status != 200 {
		t.Fatalf("got %+v of host %q, agent %q", got, host, agent)
	}

	line = logged(t, telemetry.LogOptions{Format: telemetry.Combined, Query: true}, x, end)
	fields := 0
	for i := 0; i < len(line)-1; i++ {
		switch c := line[i]; {
		case c < ' ' || c >= 0x7f:
			t.Fatalf("byte %#x in %q", c, line)
		case c == '\\':
			i++
		case c == '"':
			fields++
		}
	}
	if fields != 6 {
		t.Fatalf("%d quotes in %q", fields, line)
	}
}

// jsonText is what encoding/json makes of the bytes that are logged of a value.
func jsonText(value []byte) string {
	text, _ := json.Marshal(string(value[:min(len(value), 2048)])) // strings always marshal
	var s string
	if json.Unmarshal(text, &s) != nil {
		panic("own output does not parse")
	}
	return s
}

// stalled is a writer that blocks until it is released.
type stalled struct {
	begun, release chan struct{}
	out            bytes.Buffer
}

func (s *stalled) Write(p []byte) (int, error) {
	select {
	case s.begun <- struct{}{}:
	default:
	}
	<-s.release
	return s.out.Write(p)
}

func TestStalledWriterDropsAndCountsButNeverBlocks(t *testing.T) {
	m := telemetry.New()
	w := &stalled{begun: make(chan struct{}, 1), release: make(chan struct{})}
	l := telemetry.NewAccessLog(w, telemetry.LogOptions{Format: telemetry.Common, Pending: 1000}, m)
	x, end := sample()
	l.Log(x, end)
	<-w.begun
	line := len(`192.0.2.7 - - [04/Mar/2026:05:06:07 +0000] "GET /cart HTTP/1.1" 200 4096`) + 1
	fit := 1000 / line
	for range 100 {
		l.Log(x, end) // would hang here if it waited
	}
	close(w.release)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Count(w.out.String(), "\n"), 1+fit; got != want {
		t.Errorf("%d lines were written, want %d", got, want)
	}
	expectLines(t, m, 1+fit, 100-fit, 0)
}

func expectLines(t *testing.T, m *telemetry.Metrics, written, dropped, failed int) {
	t.Helper()
	families, err := telemetry.NewRegistry(m, "").Gather()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"written": written, "dropped": dropped, "failed": failed}
	for _, f := range families {
		if f.GetName() != "breakwater_access_log_lines_total" {
			continue
		}
		for _, s := range f.GetMetric() {
			if result := s.GetLabel()[0].GetValue(); int(s.GetCounter().GetValue()) != want[result] {
				t.Errorf("%s is %v, want %d", result, s.GetCounter().GetValue(), want[result])
			}
		}
	}
	if n := testutil.CollectAndCount(m, "breakwater_access_log_lines_total"); n != 3 {
		t.Errorf("%d series, want 3", n)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWriteErrorsAreCounted(t *testing.T) {
	m := telemetry.New()
	l := telemetry.NewAccessLog(failing{}, telemetry.LogOptions{}, m)
	x, end := sample()
	l.Log(x, end)
	l.Log(x, end)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	expectLines(t, m, 0, 0, 2)
}

func TestLogAfterCloseIsDropped(t *testing.T) {
	m := telemetry.New()
	l := telemetry.NewAccessLog(io.Discard, telemetry.LogOptions{}, m)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	x, end := sample()
	l.Log(x, end)
	expectLines(t, m, 0, 1, 0)
	if l.Close() == nil {
		t.Error("the second Close says nothing")
	}
}

func TestEveryLineOfManyGoroutinesArrivesWhole(t *testing.T) {
	var out bytes.Buffer
	m := telemetry.New()
	l := telemetry.NewAccessLog(&out, telemetry.LogOptions{Pending: 16 << 20}, m)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			x, end := sample()
			for range 500 {
				l.Log(x, end)
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for _, line := range lines {
		if line != lines[0] {
			t.Fatalf("a line differs: %q", line)
		}
	}
	if len(lines) != 4000 {
		t.Errorf("%d lines, want 4000", len(lines))
	}
	expectLines(t, m, 4000, 0, 0)
}

func TestParseFormat(t *testing.T) {
	for _, s := range []string{"json", "common", "combined"} {
		if f, err := telemetry.ParseFormat(s); err != nil || string(f) != s {
			t.Errorf("%q is %q, %v", s, f, err)
		}
	}
	for _, s := range []string{"", "JSON", "xml"} {
		if _, err := telemetry.ParseFormat(s); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}

func TestLogDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	l := telemetry.NewAccessLog(io.Discard, telemetry.LogOptions{}, telemetry.New())
	x, end := sample()
	if n := testing.AllocsPerRun(1000, func() { l.Log(x, end) }); n > 0.1 {
		t.Errorf("%v allocations per line", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkLog(b *testing.B) {
	for _, f := range []telemetry.Format{telemetry.JSON, telemetry.Combined} {
		b.Run(string(f), func(b *testing.B) {
			l := telemetry.NewAccessLog(io.Discard, telemetry.LogOptions{Format: f}, telemetry.New())
			x, end := sample()
			b.ReportAllocs()
			for b.Loop() {
				l.Log(x, end)
			}
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
