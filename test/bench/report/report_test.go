package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sample() *Report {
	row := func(peer string, cpu ...float64) Row {
		r := Row{Peer: peer}
		for _, c := range cpu {
			r.Add(Figures{CPU: c, User: c / 4, Rate: 50000, P50: 1000, P99: 2500})
		}
		return r
	}
	return &Report{
		Machine: Machine{Cores: 2, Model: "M", Kernel: "6.1", Go: "go1.26", Wrk: "4.1"},
		Peers:   []Peer{{Name: "breakwater", Version: "v1", GC: true}, {Name: "nginx", Version: "1.22", Forwarded: []string{"X-Real-IP"}}},
		Missing: []string{"haproxy: not installed"},
		Workloads: []Workload{{Name: "small", Connections: 64, Seconds: 3, Rows: []Row{
			row("breakwater", 10, 12, 14), row("nginx", 10, 10, 20), row("caddy"),
		}}},
		Idle: &Idle{Connections: 100, Rows: []IdleRow{{Peer: "breakwater", Before: []float64{1000, 1000}, After: []float64{1400, 1600}}}},
		Scale: []Scale{
			{Peer: "breakwater", Hosts: 10, Requests: row("breakwater-10", 10, 10), Few: row("breakwater-10", 8, 8), Live: 20, Memory: 2048, Loaded: 4096},
			{
				Peer: "breakwater", Hosts: 1000, Requests: row("breakwater-1000", 11, 12), Few: row("breakwater-1000", 8, 10), Start: map[string]float64{"build_seconds": 7},
				Route: Edits{Live: []float64{1, 2, 300}, Exported: map[string][]float64{"build_seconds": {5}}},
			},
		},
		API: []API{{
			Peer: "breakwater", Hosts: 1000, Services: 100, Live: 220, Statuses: 3500, Memory: 20480, Edited: 30720,
			Start:    map[string]float64{"build_seconds": 14},
			Route:    APIEdits{Live: []float64{9, 10, 40}, AfterWrite: []float64{-1, 2, 31}, Write: []float64{8, 9, 10}, Unsure: []float64{0.3, 0.4, 0.5}},
			Endpoint: APIEdits{Live: []float64{7}, Exported: map[string]float64{"build_seconds": 0.5}},
		}},
		Warnings: []string{"a remark"},
	}
}

func TestReportIsWrittenForTerminalMarkdownAndPrograms(t *testing.T) {
	base := filepath.Join(t.TempDir(), "new", "figures")
	var out strings.Builder
	if err := sample().Write(&out, base); err != nil {
		t.Fatal(err)
	}
	markdown, err := os.ReadFile(base + ".md")
	if err != nil {
		t.Fatal(err)
	}
	wants := map[string]string{ // terminal, Markdown
		"  breakwater  12.0 (10.0-14.0)  3.00       50000    1000    2500       0                 -\n": "|breakwater|12.0 (10.0-14.0)|3.00|50000|1000|2500|0|-|\n",
		"  nginx       10.0 (10.0-20.0)  2.50       50000    1000    2500       0  1.00 (0.70-1.20)\n": "|nginx|10.0 (10.0-20.0)|2.50|50000|1000|2500|0|1.00 (0.70-1.20)|\n",
		"  breakwater *  5.00 (4.00-6.00)        1000       1500\n":                                    "|breakwater *|5.00 (4.00-6.00)|1000|1500|\n",
		"  caddy                      -     -           -       -       -       0                 -\n": "|caddy|-|-|-|-|-|0|-|\n",
		"1.15 (1.10-1.20)  9.00 (8.00-10.0)  1.12 (1.00-1.25)":                                         "|1.15 (1.10-1.20)|9.00 (8.00-10.0)|1.12 (1.00-1.25)|",
		"  breakwater-1000  route      3    2.00     300     300\n":                                    "|breakwater-1000|route|3|2.00|300|300|\n",
		"haproxy: not installed":     "- left out: haproxy: not installed\n",
		"api: from a changed object": "|breakwater-1000|100|220|3500|20.0|30.0|\n",
		"  breakwater-1000     route     API server's answer to live      3    2.00    31.0    31.0\n": "|breakwater-1000|route|beginning of the write to live|3|10.0|40.0|40.0|\n",
		"  breakwater-1000  endpoint  beginning of the write to live      1    7.00    7.00    7.00\n": "|breakwater-1000 build_seconds|endpoint edits|0.50|\n",
		"a remark":                  "- a remark\n",
		"build_seconds  route edit": "|breakwater-1000 build_seconds|route edit|1|5.00|5.00|5.00|\n",
	}
	for text, mark := range wants {
		if !strings.Contains(out.String(), text) {
			t.Errorf("terminal output lacks %q:\n%s", text, out.String())
		}
		if !strings.Contains(string(markdown), mark) {
			t.Errorf("Markdown lacks %q:\n%s", mark, markdown)
		}
	}
	data, err := os.ReadFile(base + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(data, &back); err != nil || len(back.Workloads[0].Rows[1].Rounds) != 3 || back.Scale[1].Route.Live[2] != 300 {
		t.Errorf("JSON does not hold every round: %v\n%s", err, data)
	}
}

func TestARemarkIsMadeOnce(t *testing.T) {
	var r Report
	r.Warn("%d errors", 3)
	r.Warn("%d errors", 3)
	r.Warn("%d errors", 4)
	if len(r.Warnings) != 2 {
		t.Errorf("remarks %q", r.Warnings)
	}
}

func TestFiguresKeepThreeDigits(t *testing.T) {
	for f, want := range map[float64]string{0: "0", 0.123: "0.12", 9.876: "9.88", 12.34: "12.3", 99.9: "99.9", 1234.5: "1234", -12.34: "-12.3"} {
		if got := figure(f); got != want {
			t.Errorf("figure(%v) = %s, want %s", f, got, want)
		}
	}
}
