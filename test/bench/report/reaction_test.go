package report

import (
	"slices"
	"strings"
	"testing"
)

func TestReactionsAreSummedUpOverStreamsAndRepetitions(t *testing.T) {
	r := NewReaction(Reaction{Peer: "ours", Name: "kill switch", Streams: 2, Goal: "10 ms", Meaning: "from here to there"}, []float64{1, 4}, []float64{3, 2})
	if r.Times != 2 || r.P50 != 2 || r.P99 != 4 || r.Max != 4 || !slices.Equal(r.Slowest, []float64{4, 3}) {
		t.Errorf("reaction %+v", r)
	}
	none := NewReaction(Reaction{Name: "none"})
	if none.Times != 0 || none.Max != 0 {
		t.Errorf("reaction %+v", none)
	}
	table, ok := reactionsTable([]Reaction{r, r})
	var text, markdown strings.Builder
	table.text(&text)
	table.markdown(&markdown)
	if !ok || !strings.Contains(markdown.String(), "|ours|kill switch|2|2|2|4|4|10 ms|\n") || strings.Count(markdown.String(), "- kill switch: from here to there\n") != 1 {
		t.Errorf("Markdown:\n%s", markdown.String())
	}
	if !strings.Contains(text.String(), "  - kill switch: from here to there\n") {
		t.Errorf("text:\n%s", text.String())
	}
	if _, ok := reactionsTable(nil); ok {
		t.Error("a table of nothing")
	}
}

func TestRoutesAreComparedWithTheFewestOfTheSameProxy(t *testing.T) {
	row := func(name string, cpu ...float64) Row {
		r := Row{Peer: name}
		for _, c := range cpu {
			r.Add(Figures{CPU: c})
		}
		return r
	}
	table, ok := routesTable([]Routes{
		{Peer: "ours", Meaning: "few routes", Hosts: 10, Services: 1, Sockets: 30, Requests: row("ours-10", 10, 20)},
		{Peer: "nginx", Hosts: 10, Services: 1, Requests: row("nginx-10", 8, 8)},
		{Peer: "ours", Hosts: 1000, Services: 1, Sockets: 31, Requests: row("ours-1000", 11, 24)},
		{Peer: "nginx", Hosts: 1000, Services: 1, Requests: row("nginx-1000", 10, 12)},
	})
	var markdown strings.Builder
	table.markdown(&markdown)
	for _, want := range []string{"|ours-10|1|30|15.0 (10.0-20.0)|-|", "|ours-1000|1|31|17.5 (11.0-24.0)|1.15 (1.10-1.20)|", "|1.38 (1.25-1.50)|", "- ours-10: few routes\n"} {
		if !ok || !strings.Contains(markdown.String(), want) {
			t.Errorf("no %q in\n%s", want, markdown.String())
		}
	}
	if _, ok := routesTable(nil); ok {
		t.Error("a table of nothing")
	}
}
