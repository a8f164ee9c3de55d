package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/breakwater-gateway/breakwater/proxy/chaos"
)

var update = flag.Bool("update", false, "write the golden files")

var now = time.Date(2026, 11, 21, 23, 16, 5, 0, time.UTC)

// experiment is one that began ten minutes ago and has five left.
func experiment(name, phase string, change func(*chaos.ExperimentReport)) chaos.ExperimentReport {
	start, deadline := now.Add(-10*time.Minute), now.Add(5*time.Minute)
	x := chaos.ExperimentReport{
		Kind: "NetworkChaos", Namespace: "shop", Name: name, Phase: phase, At: "Client", Start: &start, Deadline: &deadline,
		Toxics:          []chaos.ToxicReport{},
		InjectedTraffic: chaos.TrafficReport{Status: map[string]uint64{}}, UninjectedTraffic: chaos.TrafficReport{Status: map[string]uint64{}},
	}
	if change != nil {
		change(&x)
	}
	return x
}

// manual is the part of a proxy that has got toxics through the API ten minutes ago.
func manual(proxy, phase string, change func(*chaos.ExperimentReport)) chaos.ExperimentReport {
	return experiment(proxy, phase, func(x *chaos.ExperimentReport) {
		end := now.Add(-time.Minute)
		x.Kind, x.Namespace, x.At, x.End, x.Deadline = chaos.ManualKind, "", "", &end, nil
		if change != nil {
			change(x)
		}
	})
}

func reports() map[string]chaos.Report {
	busy := experiment("slow-cart", "Active", func(x *chaos.ExperimentReport) {
		x.Matched, x.Injected, x.SkippedByCap = 12_345, 1_234, 12
		x.Toxics = []chaos.ToxicReport{
			{Name: "slow", Type: "latency", Decided: 1_234, Applied: 1_230, Bytes: 12_345_678, Delay: chaos.Quantiles{
				Count: 1_230, P50: 0.0500001, P90: 0.1, P99: 0.125, Max: 1.5}},
			{Name: "teapot", Type: "abort", Decided: 7, Applied: 7},
		}
		x.InjectedTraffic = chaos.TrafficReport{
			Requests: 1_234, Failed: 7, Status: map[string]uint64{"2xx": 1_220, "4xx": 7, "none": 7}, Retries: 3,
			Latency: chaos.Quantiles{Count: 1_227, P50: 0.0525, P90: 0.11, P99: 0.2, Max: 61}, UpstreamBytes: 123_400, DownstreamBytes: 9_876_543,
		}
		x.UninjectedTraffic = chaos.TrafficReport{
			Requests: 11_111, Status: map[string]uint64{"2xx": 11_111}, UpstreamBytes: 1_111_100, DownstreamBytes: 98_765_432_100,
			Latency: chaos.Quantiles{Count: 11_111, P50: 0.000812, P90: 0.0012, P99: 0.00998, Max: 0.0512},
		}
	})
	halted := experiment("bad-db", "Halted", func(x *chaos.ExperimentReport) {
		x.At, x.Matched, x.Injected, x.Halts, x.Deleted = "Backend", 40, 40, 2, true
		end := now.Add(-8 * time.Minute)
		x.End = &end
		x.HaltedReason = "error rate 0.75 of the last 40 requests in 10s is above 0.5: " + strings.Repeat("and so on ", 8)
		x.Toxics = []chaos.ToxicReport{{Name: "reset-by-peer-of-the-database-in-the-other-zone", Type: "reset_peer", Decided: 40, Applied: 40}}
		x.InjectedTraffic.Connections, x.InjectedTraffic.Failed = 40, 30
	})
	return map[string]chaos.Report{
		"toxiproxy": {Time: now, Enabled: true, Experiments: []chaos.ExperimentReport{
			manual("redis", "Active", func(x *chaos.ExperimentReport) {
				x.End = nil
				x.Matched, x.Injected = 40, 29
				x.Toxics = []chaos.ToxicReport{
					{Name: "latency_downstream", Type: "latency", Decided: 21, Applied: 21, Bytes: 12_345, Delay: chaos.Quantiles{
						Count: 21, P50: 1, P90: 1, P99: 1.125, Max: 1.0101},
						Manual: &chaos.ManualReport{Stream: "downstream", Attributes: "jitter=0 latency=1000", Toxicity: 0.5, Changes: 2, Matched: 40}},
					{Name: "cut", Type: "limit_data", Decided: 10, Applied: 10, Ended: 9, Bytes: 1_000,
						Manual: &chaos.ManualReport{Stream: "upstream", Attributes: "bytes=100", Toxicity: 1, Changes: 1, Removed: true, Matched: 10}},
					{Decided: 120, Applied: 100, Ended: 50, Bytes: 7, Manual: &chaos.ManualReport{Removed: true, Matched: 120}},
				}
				x.InjectedTraffic = chaos.TrafficReport{Connections: 29, Failed: 9, UpstreamBytes: 12_000, DownstreamBytes: 98_000,
					Latency: chaos.Quantiles{Count: 20, P50: 1, P90: 1.01, P99: 1.05, Max: 1.05}}
				x.UninjectedTraffic = chaos.TrafficReport{Connections: 11, UpstreamBytes: 4_000, DownstreamBytes: 40_000,
					Latency: chaos.Quantiles{Count: 11, P50: 0.0004, P90: 0.0005, P99: 0.0005, Max: 0.0005}}
			}),
			manual("shop.db", "Removed", func(x *chaos.ExperimentReport) {
				x.Toxics = []chaos.ToxicReport{{Name: "noop_upstream", Type: "noop",
					Manual: &chaos.ManualReport{Stream: "upstream", Toxicity: 1, Removed: true}}}
			}),
			manual("<b>@all\n|", "Off", func(x *chaos.ExperimentReport) { x.End, x.NeverActed = nil, true }),
			manual("", "Removed", func(x *chaos.ExperimentReport) { x.Matched, x.Injected = 1, 1 }),
		}, Cut: []chaos.CutReport{
			{Proxy: "redis", Why: "disabled", Connections: 3}, {Proxy: "redis", Why: "released", Connections: 1}, {Why: "deleted", Connections: 12_000},
		}},
		"cut": {Time: now, Enabled: true, Experiments: []chaos.ExperimentReport{}, Cut: []chaos.CutReport{
			{Proxy: "<b>@all\n|", Why: "moved", Connections: 1}, {Proxy: "db", Why: "too_many", Connections: 7}, {Proxy: "db", Why: "news", Connections: 1},
		}},
		"both":   {Time: now, Enabled: true, Experiments: []chaos.ExperimentReport{busy, manual("redis", "Removed", nil)}},
		"empty":  {Time: now, Enabled: true, Experiments: []chaos.ExperimentReport{}},
		"one":    {Time: now, Enabled: true, Experiments: []chaos.ExperimentReport{busy}},
		"halted": {Time: now, Enabled: true, Experiments: []chaos.ExperimentReport{halted}},
		"dry-run": {Time: now, Enabled: true, Experiments: []chaos.ExperimentReport{experiment("rehearsal", "Active", func(x *chaos.ExperimentReport) {
			x.DryRunOnly, x.NeverActed, x.Matched, x.DryRun = true, true, 1, 1
			x.UninjectedTraffic.Requests, x.UninjectedTraffic.Status = 1, map[string]uint64{"3xx": 1}
		})}},
		"refused": {Time: now, Enabled: true, Experiments: []chaos.ExperimentReport{
			experiment("never-accepted", "Refused", func(x *chaos.ExperimentReport) {
				x.At, x.Start, x.Deadline, x.NeverActed, x.Problem = "", nil, nil, true, "TargetNotFound: there is no Ingress shop/crat"
			}),
		}},
		"many": {Time: now, Dropped: 2, Experiments: []chaos.ExperimentReport{
			busy, halted,
			experiment("refused", "Invalid", func(x *chaos.ExperimentReport) {
				x.Start, x.Deadline, x.Problem = nil, nil, "toxic \"a|b\": <b>latency</b>:\n@everybody `must` not be negative\x1b[2J"
			}),
			experiment("nobody-calls", "Expired", func(x *chaos.ExperimentReport) {
				deadline, end := now.Add(-5*time.Minute), now.Add(-5*time.Minute)
				x.Deadline, x.End = &deadline, &end
			}),
			experiment("a-name-that-is-so-long-that-no-terminal-has-the-room-to-show-it-beside-nine-other-columns", "Off",
				func(x *chaos.ExperimentReport) { x.NeverActed = true }),
		}},
	}
}

func TestGolden(t *testing.T) {
	ext := map[Format]string{Table: "txt", Markdown: "md", JUnit: "xml", JSON: "json"}
	for name, r := range reports() {
		for _, f := range Formats() {
			t.Run(name+"/"+string(f), func(t *testing.T) {
				var got bytes.Buffer
				if err := Write(&got, &r, f, nil); err != nil {
					t.Fatal(err)
				}
				file := filepath.Join("testdata", name+"."+ext[f])
				if *update {
					if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Bytes(), want) {
					t.Errorf("differs from %s (go test -update writes it):\n%s", file, got.String())
				}
			})
		}
	}
}

func TestTableOnTheNarrowestTerminal(t *testing.T) {
	for name, r := range reports() {
		for width := range Columns {
			if err := WriteTable(io.Discard, &r, nil, width); err != nil {
				t.Errorf("%s, %d columns: %v", name, width, err)
			}
		}
	}
}

func TestTableFitsATerminal(t *testing.T) {
	for _, width := range []int{Columns, 80} {
		for name, r := range reports() {
			for i := range r.Experiments { // as large as numbers get
				x := &r.Experiments[i]
				big := uint64(1<<64 - 1)
				x.Matched, x.Injected, x.SkippedByCap, x.DryRun = big, big, big, big
				q := chaos.Quantiles{Count: 1, P50: 86399.4, P90: 86399.4, P99: 86399.4, Max: 1e10}
				x.InjectedTraffic = chaos.TrafficReport{
					Requests: big, Connections: big, Failed: big, Retries: big, UpstreamBytes: 1<<63 - 1, DownstreamBytes: 1<<63 - 1, Latency: q,
					Status: map[string]uint64{"1xx": big, "2xx": big, "3xx": 999_999, "4xx": 999_999, "5xx": big, "none": 999_999},
				}
				x.Toxics = append(x.Toxics, chaos.ToxicReport{Name: strings.Repeat("n", 253), Type: "response_throttling", Decided: big, Applied: big,
					Bytes: 1<<63 - 1, Delay: q})
			}
			var got bytes.Buffer
			if err := WriteTable(&got, &r, nil, width); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(got.String()) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width || strings.ContainsAny(line, "\x1b\r\t") || strings.HasSuffix(line, " \n") {
					t.Errorf("%s: %d columns of %d: %q", name, n, width, line)
				}
			}
		}
	}
}

// A narrow terminal gets what says something: columns of nothing go first, others only as far as need be, and words stay readable.
func TestNarrowTable(t *testing.T) {
	r := reports()["toxiproxy"]
	capped := reports()["one"]
	for _, c := range []struct {
		name  string
		r     *chaos.Report
		width int
		want  []string
	}{
		{"enough room", &r, Columns, []string{
			"EXPERIMENT           RESULT         PHASE    AT  MATCHED  INJECTED   SHARE  CAPPED  DRY RUN",
			"  TOXIC               TYPE        MATCHED  APPLIED  ENDED    BYTES  DELAY P50  P90    P99    MAX",
		}},
		{"a wide terminal", &r, 300, []string{
			"EXPERIMENT           RESULT         PHASE    AT  MATCHED  INJECTED   SHARE  CAPPED  DRY RUN",
		}},
		{"80 columns", &r, 80, []string{
			"EXPERIMENT           RESULT         PHASE    MATCHED  INJECTED   SHARE  DRY RUN",
			"  TOXIC               TYPE        MATCHED  APPLIED  DELAY P50    P99    MAX",
		}},
		{"some are capped", &capped, 70, []string{
			"EXPERIMENT      RESULT  PHASE   MATCHED  INJECTED  SHARE  CAPPED",
		}},
	} {
		var got bytes.Buffer
		if err := WriteTable(&got, c.r, nil, c.width); err != nil {
			t.Fatal(err)
		}
		for _, line := range c.want {
			if !strings.Contains(got.String(), line+"\n") {
				t.Errorf("%s: no %q in\n%s", c.name, line, got.String())
			}
		}
	}
}

func TestJudge(t *testing.T) {
	future := now.Add(time.Second)
	for _, c := range []struct {
		name    string
		phase   string
		change  func(*chaos.ExperimentReport)
		outcome Outcome
		reason  string
	}{
		{"has injected", "Expired", func(x *chaos.ExperimentReport) { x.Matched, x.Injected = 3, 1 }, Injected, ""},
		{"has injected, then switched off", "Off", func(x *chaos.ExperimentReport) { x.Injected = 1 }, Injected, ""},
		{"refused", "Invalid", func(x *chaos.ExperimentReport) { x.Problem = "why" }, Refused, "why"},
		{"halted now", "Halted", func(x *chaos.ExperimentReport) { x.HaltedReason, x.Injected = "why", 1 }, Halted, "why"},
		{"halted before", "Active", func(x *chaos.ExperimentReport) { x.Halts, x.Injected = 1, 1 }, Halted, "re-armed"},
		{"nothing matched", "Active", nil, NoneInjected, "no request or connection matched"},
		{"chance", "Expired", func(x *chaos.ExperimentReport) { x.Matched = 1 }, NoneInjected, "none of 1 that matched got a fault"},
		{"behind another fault", "Expired", func(x *chaos.ExperimentReport) {
			x.Matched, x.Toxics = 2, []chaos.ToxicReport{{Name: "late", Decided: 2}}
		}, NoneInjected, "none of 2 that matched got a fault: those chosen were answered before or over, or had nothing to change"},
		{"capped", "Active", func(x *chaos.ExperimentReport) { x.Matched, x.SkippedByCap = 2000, 10 }, NoneInjected, "the cap left out 10 of 2,000"},
		{"dry run", "Active", func(x *chaos.ExperimentReport) { x.DryRunOnly, x.NeverActed, x.Matched, x.DryRun = true, true, 4, 2 }, Skipped, "2 of 4 that matched would"},
		{"active, then a dry run", "Active", func(x *chaos.ExperimentReport) { x.DryRunOnly, x.Matched, x.DryRun = true, 4, 2 }, NoneInjected, "before it became a dry run"},
		{"never began", "Pending", func(x *chaos.ExperimentReport) { x.Start, x.NeverActed = nil, true }, Skipped, "its time has not come"},
		{"begins soon", "Pending", func(x *chaos.ExperimentReport) { x.Start, x.NeverActed = &future, true }, Skipped, "its time has not come"},
		{"active, then its start moved", "Pending", func(x *chaos.ExperimentReport) { x.Start = &future }, NoneInjected, "no request"},
		{"over before it was loaded", "Expired", func(x *chaos.ExperimentReport) { x.NeverActed, x.Missed = true, true }, NoneInjected, "its time was over when it was loaded"},
		{"a dry run, over before it was loaded", "Expired", func(x *chaos.ExperimentReport) { x.NeverActed, x.Missed, x.DryRunOnly = true, true, true },
			Skipped, "dry run"},
		{"between windows", "Pending", nil, NoneInjected, "no request"},
		{"suspended", "Suspended", func(x *chaos.ExperimentReport) { x.NeverActed = true }, Skipped, "suspended"},
		{"suspended, then over", "Expired", func(x *chaos.ExperimentReport) { x.NeverActed = true }, Skipped, "suspended, switched off"},
		{"active, then suspended", "Suspended", nil, NoneInjected, "no request"},
		{"switched off", "Off", func(x *chaos.ExperimentReport) { x.NeverActed = true }, Skipped, "chaos is off"},
		{"active, then switched off", "Off", nil, NoneInjected, "no request"},
		{"toxics that are switched off", "Off", func(x *chaos.ExperimentReport) { x.Kind, x.NeverActed = chaos.ManualKind, true }, Skipped, "chaos is off"},
		{"toxics that have acted, then switched off", "Off", func(x *chaos.ExperimentReport) { x.Kind = chaos.ManualKind }, NoneInjected, "no connection"},
		{"has injected, then a dry run", "Active", func(x *chaos.ExperimentReport) { x.DryRunOnly, x.Injected, x.DryRun = true, 1, 2 }, Injected, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := experiment("x", c.phase, c.change)
			if v := Judge(&x, now); v.Outcome != c.outcome || !strings.Contains(v.Reason, c.reason) {
				t.Errorf("got %+v", v)
			}
		})
	}
}

// What failed is what somebody asks about: the headline, and the failures in JUnit's XML.
func TestFailing(t *testing.T) {
	r := reports()["many"]
	for _, c := range []struct {
		failing  Failing
		failures int
	}{
		{nil, 2}, {Failing{}, 0}, {Failing{Halted}, 1}, {Failing{Halted, Refused, NoneInjected, Skipped}, 4}, {Failing{Skipped, NoneInjected}, 2},
	} {
		headline := "5 experiments"
		if c.failures > 0 {
			headline += fmt.Sprintf(", %d failed", c.failures)
		}
		for _, f := range []Format{Table, Markdown} {
			var got bytes.Buffer
			if err := Write(&got, &r, f, c.failing); err != nil || !strings.Contains(got.String(), headline+"\n") {
				t.Errorf("%v as %s: %v, no %q in %.100s", c.failing, f, err, headline, got.String())
			}
		}
		var got bytes.Buffer
		if err := Write(&got, &r, JUnit, c.failing); err != nil || strings.Count(got.String(), "<failure ") != c.failures ||
			strings.Count(got.String(), ` failures="1"`) != c.failures {
			t.Errorf("%v: %v\n%s", c.failing, err, got.String())
		}
	}
}

// What has ended has no time left, and took until then.
func TestWhenAndHowLong(t *testing.T) {
	in := func(d time.Duration) *time.Time { at := now.Add(d); return &at }
	ended := func(x *chaos.ExperimentReport) { x.End = in(-10*time.Minute + 1520*time.Millisecond) }
	and := func(change ...func(*chaos.ExperimentReport)) func(*chaos.ExperimentReport) {
		return func(x *chaos.ExperimentReport) {
			for _, c := range change {
				c(x)
			}
		}
	}
	deleted := func(x *chaos.ExperimentReport) { x.Deleted = true }
	problem := func(x *chaos.ExperimentReport) { x.Problem = "no such target" }
	toxics := func(x *chaos.ExperimentReport) { x.Kind, x.Deadline = chaos.ManualKind, nil }
	toCome := func(x *chaos.ExperimentReport) { x.Start = in(time.Minute) }
	const brief, whole = "2026-11-21 23:06:05 to 23:06:06 UTC (2s)", "2026-11-21 23:06:05 to 23:21:05 UTC (15m)"
	for _, c := range []struct {
		name, phase string
		change      func(*chaos.ExperimentReport)
		when, took  string
	}{
		{"goes on", "Active", nil, whole + ", 5m left", "600.000"},
		{"expired", "Expired", func(x *chaos.ExperimentReport) { x.End, x.Deadline = in(-time.Minute), in(-time.Minute) },
			"2026-11-21 23:06:05 to 23:15:05 UTC (9m)", "540.000"},
		{"deleted", "Deleted", and(ended, deleted), brief, "1.520"},
		{"refused", "Refused", and(ended, problem), brief, "1.520"},
		{"halted", "Halted", ended, brief + ", may go on until 23:21:05", "1.520"},
		{"suspended", "Suspended", ended, brief + ", may go on until 23:21:05", "1.520"},
		{"switched off", "Off", ended, brief + ", may go on until 23:21:05", "1.520"},
		{"switched off until it was over", "Expired", and(ended, func(x *chaos.ExperimentReport) { x.Deadline = in(-time.Minute) }), brief, "1.520"},
		{"suspended all the time", "Suspended", nil, "its window: " + whole + ", 5m left", "0.000"},
		{"suspended until it was over", "Expired", func(x *chaos.ExperimentReport) { x.Deadline = in(-time.Minute) },
			"its window: 2026-11-21 23:06:05 to 23:15:05 UTC (9m)", "0.000"},
		{"refused before it acted", "Refused", problem, "its window: " + whole, "0.000"},
		{"to come", "Pending", toCome, "its window: 2026-11-21 23:17:05 to 23:21:05 UTC (4m), to come", "0.000"},
		{"deleted before its time", "Deleted", and(toCome, deleted), "its window: 2026-11-21 23:17:05 to 23:21:05 UTC (4m)", "0.000"},
		{"never had a window", "Pending", func(x *chaos.ExperimentReport) { x.Start, x.Deadline = nil, nil }, "", "0.000"},
		{"toxics in force", "Active", toxics, "since 2026-11-21 23:06:05 UTC", "600.000"},
		{"toxics removed", "Removed", and(ended, toxics), brief, "1.520"},
		{"toxics switched off", "Off", and(ended, toxics), brief, "1.520"},
		{"toxics switched off all the time", "Off", toxics, "since 2026-11-21 23:06:05 UTC", "0.000"},
		{"toxics switched off until they were removed", "Removed", toxics, "", "0.000"},
	} {
		x := experiment("x", c.phase, c.change)
		if got := when(&x, now); got != c.when {
			t.Errorf("%s: %q, want %q", c.name, got, c.when)
		}
		if s := suiteOf(&x, now, nil); s.Time != c.took || s.Case.Time != c.took {
			t.Errorf("%s: took %s and %s, want %s", c.name, s.Time, s.Case.Time, c.took)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(999_999), "999,999"}, {count(1_000_000), "1M"},
		{count(12_345_678), "12.3M"}, {count(1<<64 - 1), "18.4E"},
		{size(999), "999 B"}, {size(1000), "1 kB"}, {size(999_600), "1 MB"}, {size(1_500_000_000), "1.5 GB"}, {size(1<<63 - 1), "9223 PB"},
		{duration(0), "0"}, {duration(0.0000005), "0.5µs"}, {duration(0.0009996), "1ms"}, {duration(0.05), "50ms"}, {duration(0.9999), "1s"},
		{duration(1.234), "1.23s"}, {duration(99.9), "99.9s"}, {duration(125), "2m5s"}, {duration(120), "2m"}, {duration(86399.4), "24h"}, {duration(4000), "1h7m"}, {duration(1e10), "years"},
		{share(1, 3), "33.3%"}, {share(0, 0), "-"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// A program reads from JSON what the Report was, and from JUnit's XML how many failed.
func TestFormatsAreRead(t *testing.T) {
	r := reports()["many"]
	var document bytes.Buffer
	if err := Write(&document, &r, JSON, nil); err != nil {
		t.Fatal(err)
	}
	var back chaos.Report
	if err := json.Unmarshal(document.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	before, _ := json.Marshal(r)
	after, _ := json.Marshal(back)
	if !bytes.Equal(before, after) {
		t.Errorf("got %s, want %s", after, before)
	}
	document.Reset()
	if err := Write(&document, &r, JUnit, nil); err != nil {
		t.Fatal(err)
	}
	var read struct {
		Suites []struct {
			Failures int `xml:"failures,attr"`
			Case     struct {
				Failure *struct{} `xml:"failure"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(document.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	failures, failed, skipped := 0, 0, 0
	for _, s := range read.Suites {
		failures += s.Failures
		if s.Case.Failure != nil {
			failed++
		}
		if s.Case.Skipped != nil {
			skipped++
		}
	}
	if len(read.Suites) != 5 || failures != 2 || failed != 2 || skipped != 2 {
		t.Errorf("%d suites, %d failures, %d failed, %d skipped", len(read.Suites), failures, failed, skipped)
	}
}

func TestFormats(t *testing.T) {
	for _, f := range Formats() {
		if got, err := ParseFormat(string(f)); err != nil || got != f || f.ContentType() == "" {
			t.Errorf("%s: %v", f, err)
		}
	}
	if _, err := ParseFormat("xml"); err == nil || !strings.Contains(err.Error(), "want table, markdown, junit, json") {
		t.Error(err)
	}
	if err := Write(&bytes.Buffer{}, &chaos.Report{}, "xml", nil); err == nil {
		t.Error("an unknown format is written")
	}
}

// FuzzWrite: a report that was read from any JSON can be written in every format, and as JSON it says what it said.
func FuzzWrite(f *testing.F) {
	f.Add([]byte(`{"time":"2026-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"experiments":[{"kind":"x","phase":"Halted","start":"9999-01-01T00:00:00Z","toxics":[{"delay":{"count":1,"max":1e308}}],` +
		`"injectedTraffic":{"requests":18446744073709551615,"latency":{"count":1,"p50":-1}}}]}`))
	for _, r := range reports() {
		text, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var r, again chaos.Report
		if json.Unmarshal(text, &r) != nil {
			return
		}
		var b bytes.Buffer
		for _, format := range Formats() {
			b.Reset()
			if err := Write(&b, &r, format, Failing{Halted, NoneInjected}); err != nil {
				t.Fatalf("%s of %s: %v", format, text, err)
			}
			switch format {
			case JUnit:
				if err := xml.Unmarshal(b.Bytes(), new(struct{})); err != nil {
					t.Errorf("JUnit of %s: %v", text, err)
				}
			case JSON:
				if err := json.Unmarshal(b.Bytes(), &again); err != nil {
					t.Errorf("JSON of %s: %v", text, err)
				}
			}
		}
		r.Experiments = append([]chaos.ExperimentReport{}, r.Experiments...) // none are an empty list
		before, _ := json.Marshal(r)
		after, _ := json.Marshal(again)
		if !bytes.Equal(before, after) {
			t.Errorf("got %s, want %s", after, before)
		}
	})
}

// What is left of proxies that a report has no room for stands apart by what it has come to, and their cuts are told once.
func TestOthersAreToldApart(t *testing.T) {
	manual := func(change func(*chaos.ExperimentReport)) chaos.ExperimentReport {
		x := chaos.ExperimentReport{Kind: chaos.ManualKind, Matched: 3}
		change(&x)
		return x
	}
	r := &chaos.Report{
		Experiments: []chaos.ExperimentReport{
			manual(func(x *chaos.ExperimentReport) { x.Injected = 3 }),
			manual(func(*chaos.ExperimentReport) {}),
			manual(func(x *chaos.ExperimentReport) { x.NeverActed = true }),
		},
		Cut: []chaos.CutReport{{Why: "deleted", Connections: 4}},
	}
	names := map[string]bool{}
	for i := range r.Experiments {
		names[Name(&r.Experiments[i])] = true
	}
	if len(names) != 3 {
		t.Errorf("names: %v", names)
	}
	var got bytes.Buffer
	if err := Write(&got, r, JUnit, nil); err != nil || strings.Count(got.String(), `"cut.deleted"`) != 1 {
		t.Errorf("%v\n%s", err, got.String())
	}
}
