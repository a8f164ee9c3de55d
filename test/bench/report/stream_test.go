package report

import (
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/test/bench/peer"
)

func rounds(path string, figures ...Figures) Row { return Row{Peer: path, Rounds: figures} }

func TestStreamsAreComparedRoundByRound(t *testing.T) {
	w := StreamWorkload{Name: "ping-pong", Asked: 1000, Rows: []Row{
		rounds(Direct, Figures{P50: 30}, Figures{P50: 50}),
		rounds("ours", Figures{P50: 1070, CPU: 20}, Figures{P50: 1110, CPU: 30}),
		rounds(peer.NameToxiproxy, Figures{P50: 1130, CPU: 50}, Figures{P50: 1250, CPU: 60}),
	}}
	if got := w.added("ours", p50); len(got) != 2 || got[0] != 40 || got[1] != 60 {
		t.Errorf("added %v, want 40 and 60", got)
	}
	if got := w.addedRatio("ours", peer.NameToxiproxy, p50); got.Min != 0.3 || got.Max != 0.4 {
		t.Errorf("added / toxiproxy %+v, want 0.3 to 0.4", got)
	}
	if got := w.ratio("ours", peer.NameToxiproxy, cpu); got.Min != 0.4 || got.Max != 0.5 {
		t.Errorf("CPU / toxiproxy %+v, want 0.4 to 0.5", got)
	}
	for _, path := range []string{Direct, peer.NameToxiproxy} {
		if got := w.ratio(path, peer.NameToxiproxy, cpu); got.N != 0 {
			t.Errorf("%s has a ratio %+v", path, got)
		}
	}
	if got := w.ratio("ours", peer.NameHAProxy, cpu); got.N != 0 {
		t.Errorf("a ratio to what was not measured: %+v", got)
	}
}

func TestStreamTablesSetGoalsBesideFigures(t *testing.T) {
	s := &Stream{
		Workloads: []StreamWorkload{{Name: "bulk", Bulk: true, Rows: []Row{
			rounds(Direct, Figures{Rate: 4000}), rounds("ours", Figures{Rate: 1500, CPU: 3}),
			rounds(peer.NameToxiproxy, Figures{Rate: 500, CPU: 30}), rounds(peer.NameHAProxy, Figures{Rate: 1000, CPU: 10}),
		}}},
		Accuracy: []Accuracy{{Name: "latency", Asked: 50, Paths: []AccuracyRow{{"ours", []float64{50.25, 50.125, 50.5}}}}},
		Idle:     &Idle{Connections: 10, Rows: []IdleRow{{Peer: "ours", Before: []float64{100}, After: []float64{120}}}},
	}
	var text strings.Builder
	for _, table := range s.tables(nil) {
		table.text(&text)
	}
	for _, want := range []string{"50.250 (50.125-50.500)", "MB/s / haproxy    at least 1  1.50", "CPU / toxiproxy  at most 0.5  0.10", "2.00 (2.00-2.00)"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "haproxy: bulk") {
		t.Error("a peer has a goal")
	}
	if tables := (*Stream)(nil).tables(nil); len(tables) != 0 {
		t.Error("tables without streams")
	}
}

func TestGoalsAreThoseOfTheMachineAsItIdles(t *testing.T) {
	workload := func(name string, awake bool) StreamWorkload {
		return StreamWorkload{Name: name, Awake: awake, Rows: []Row{
			rounds(Direct, Figures{P50: 30}), rounds("ours", Figures{P50: 70, CPU: 20}),
			rounds(Floor, Figures{P50: 60, CPU: 10}), rounds(peer.NameToxiproxy, Figures{P50: 130, CPU: 50}),
		}}
	}
	for _, test := range []struct {
		name string
		all  []StreamWorkload
		want []string
	}{
		{"both ways", []StreamWorkload{workload("ping", false), workload("ping"+KeptAwake, true)}, []string{
			"ours: ping, added p50 / toxiproxy", "ours: ping, CPU / toxiproxy",
		}},
		{"one way", []StreamWorkload{workload("ping", false), workload("toxic", false)}, []string{
			"ours: ping, added p50 / toxiproxy", "ours: ping, CPU / toxiproxy",
			"ours: toxic, added p50 / toxiproxy", "ours: toxic, CPU / toxiproxy",
		}},
	} {
		var got []string
		for _, row := range (&Stream{Workloads: test.all}).goals().rows {
			got = append(got, row[0])
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: goals %q, want %q", test.name, got, test.want)
		}
	}
}

func TestTablesSayWhetherProcessorsWereAwake(t *testing.T) {
	for awake, want := range map[bool]string{true: "kept awake", false: "slept"} {
		w := StreamWorkload{Name: "ping", Awake: awake, Turns: 10}
		if got := w.table(); !strings.Contains(got.note, want) || !strings.Contains(got.title, "in 10 turns") {
			t.Errorf("awake %v: %q, %q", awake, got.title, got.note)
		}
	}
}
