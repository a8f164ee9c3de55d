package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chance"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// manualOf makes a Manual of an owner.
func manualOf(e *Engine, owner, name, attributes string, toxicity float64) *Manual {
	return e.NewManual(ManualConfig{Owner: owner, Seed: 9, Attributes: attributes, Entry: &toxic.Entry{
		Name: name, Direction: proxy.Upstreamward, Toxicity: toxicity, Toxic: toxic.Latency{Latency: shape.Const(1)}, Key: chance.NewKey(9, owner, name),
	}})
}

// meet lets a connection meet a Manual and end.
func meet(m *Manual, ordinal uint64) {
	slot, v := toxic.NewSlot(), Meeting{}
	slot.Set(v.Actives([]*Manual{m}, ordinal, "192.0.2.1:80")...)
	m.Observe(toxic.Observation{Ordinal: ordinal, Applied: m.acts(ordinal), Final: true, Bytes: 10, Delay: time.Second, Ended: toxic.RST})
	v.Close(Outcome{Upstream: 1, Downstream: 2, Failed: v.touched}, time.Second)
}

// rows are the report in short: owner, phase, matched, injected, and for each toxic its name, attributes, changes, matched, applied, ended.
func rows(e *Engine) (all string) {
	for _, x := range e.Report().Experiments {
		all += fmt.Sprintf("%s %s %d/%d:", x.Name, x.Phase, x.Injected, x.Matched)
		for _, t := range x.Toxics {
			all += fmt.Sprintf(" %s(%s)%d %d/%d %d", t.Name, t.Manual.Attributes, t.Manual.Changes, t.Applied, t.Manual.Matched, t.Ended)
			if t.Manual.Removed {
				all += " removed"
			}
		}
		all += "\n"
	}
	return all
}

func TestManualsAreReported(t *testing.T) {
	e := newEngine(t, Config{})
	want := func(when, what string) {
		t.Helper()
		if got := rows(e); got != what {
			t.Errorf("%s: got\n%swant\n%s", when, got, what)
		}
	}
	want("at first", "")
	a := manualOf(e, "redis", "slow", "latency=1", 1)
	want("in force", "redis Active 0/0: slow(latency=1)0 0/0 0\n")
	meet(a, 0)
	want("met", "redis Active 1/1: slow(latency=1)0 1/1 1\n")
	e.SetEnabled(false)
	want("off", "redis Off 1/1: slow(latency=1)0 1/1 1\n")
	e.SetEnabled(true)
	changed := manualOf(e, "redis", "slow", "latency=2", 1)
	a.End()
	meet(changed, 1)
	want("changed", "redis Active 2/2: slow(latency=2)1 2/2 2\n")
	never := manualOf(e, "redis", "never", "", 0)
	meet(never, 2)
	want("of a toxicity of 0", "redis Active 2/3: slow(latency=2)1 2/2 2 never()0 0/1 0\n")
	changed.End()
	want("one removed", "redis Active 2/3: slow(latency=2)1 2/2 2 removed never()0 0/1 0\n")
	never.End()
	want("both removed", "redis Removed 2/3: slow(latency=2)1 2/2 2 removed never()0 0/1 0 removed\n")
	again := manualOf(e, "redis", "slow", "latency=2", 1)
	want("made again", "redis Active 2/3: slow(latency=2)1 2/2 2 never()0 0/1 0 removed\n")
	other := manualOf(e, "db", "slow", "latency=2", 1)
	other.End()
	e.ForgetDeleted()
	want("forgotten, what is left begins anew", "redis Active 0/0: slow(latency=2)0 0/0 0\n")
	meet(again, 3)
	e.ForgetDeleted()
	want("forgotten, with nothing to forget", "redis Active 1/1: slow(latency=2)0 1/1 1\n")
	again.End()
	e.ForgetDeleted()
	want("all forgotten", "")

	fresh := manualOf(e, "redis", "slow", "latency=2", 1)
	e.NewManual(ManualConfig{Owner: "redis", Entry: &toxic.Entry{Name: "slow", Toxic: toxic.Latency{}}}).End() // downstream
	meet(fresh, 0)
	want("anew", "redis Active 1/1: slow(latency=2)0 1/1 1 slow()0 0/0 0 removed\n")
	if got := fmt.Sprint(e.ManualCounts()); got != "map[latency:4]" {
		t.Errorf("a counter has gone down or lost something: %s", got)
	}
	x := e.Report().Experiments[0]
	if x.Kind != ManualKind || x.Start == nil || x.End != nil || x.Toxics[0].Manual.Stream != "upstream" || x.Toxics[0].Delay.Max != 1 ||
		x.InjectedTraffic.Connections != 1 || x.InjectedTraffic.Failed != 1 || x.InjectedTraffic.Latency.Max != 1 || x.InjectedTraffic.DownstreamBytes != 2 {
		t.Errorf("got %+v", x)
	}
}

// What no kill switch has ever let act has not been in vain, whatever becomes of the switch after it.
func TestManualsThatHaveNeverActed(t *testing.T) {
	for _, c := range []struct {
		name       string
		use        func(e *Engine, owner string)
		neverActed bool
	}{
		{"on", func(e *Engine, owner string) { manualOf(e, owner, "t", "", 1).End() }, false},
		{"off all the time", func(e *Engine, owner string) {
			e.SetEnabled(false)
			manualOf(e, owner, "t", "", 1).End()
			e.SetEnabled(true)
		}, true},
		{"switched off later", func(e *Engine, owner string) {
			m := manualOf(e, owner, "t", "", 1)
			e.SetEnabled(false)
			m.End()
			e.SetEnabled(true)
		}, false},
		{"switched on later", func(e *Engine, owner string) {
			e.SetEnabled(false)
			m := manualOf(e, owner, "t", "", 1)
			e.SetEnabled(true)
			m.End()
		}, false},
		{"one of two", func(e *Engine, owner string) {
			manualOf(e, owner, "t", "", 1).End()
			e.SetEnabled(false)
			manualOf(e, owner, "t", "", 1).End()
			e.SetEnabled(true)
		}, false},
	} {
		e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)})
		c.use(e, c.name)
		if x := e.Report().Experiments[0]; x.NeverActed != c.neverActed {
			t.Errorf("%s: %v", c.name, x.NeverActed)
		}
	}
	off := newEngine(t, Config{Disabled: true})
	manualOf(off, "o", "t", "", 1).End()
	if !off.Report().Experiments[0].NeverActed {
		t.Error("where nothing may act, something has")
	}
}

// Whoever makes and removes toxics for ever makes nothing grow, and loses no count.
func TestManualsAreBounded(t *testing.T) {
	e := newEngine(t, Config{})
	const owners, toxics = 3 * maxOwners, 2 * maxRows
	n := uint64(0)
	one := func(owner, name string) *Manual {
		m := manualOf(e, owner, name, "latency=1", 1)
		meet(m, n)
		n++
		return m
	}
	first := one("first", "stays")
	for i := range owners {
		one(fmt.Sprint("p", i), "t").End()
	}
	for i := range toxics {
		one("first", fmt.Sprint("t", i)).End()
	}
	count := func() (owners, rows int, injected, applied, streams, delays uint64) {
		for _, x := range e.Report().Experiments {
			owners++
			rows += len(x.Toxics)
			injected += x.Injected
			streams += x.InjectedTraffic.Connections
			for _, r := range x.Toxics {
				applied += r.Applied
				delays += r.Delay.Count
			}
		}
		return owners, rows, injected, applied, streams, delays
	}
	gotOwners, gotRows, injected, applied, streams, delays := count()
	if gotOwners != maxOwners+1 || gotRows > maxOwners+maxRows+2 {
		t.Errorf("%d owners with %d rows are kept", gotOwners, gotRows)
	}
	if injected != n || applied != n || streams != n || delays != n {
		t.Errorf("of %d: %d injected, %d applied, %d seen, %d delayed", n, injected, applied, streams, delays)
	}
	r := e.Report().Experiments
	if r[0].Name != "first" || r[0].Toxics[0].Name != "stays" || r[0].Toxics[maxRows].Name != "" || r[len(r)-1].Name != "" {
		t.Errorf("what is in force has gone, or others are not the last: %s", rows(e))
	}
	e.ForgetDeleted()
	if got, want := rows(e), "first Active 0/0: stays(latency=1)0 0/0 0\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	first.End()

	var all []*Manual // more at a time than there is room for: of owners all are kept
	for i := range 2 * maxOwners {
		all = append(all, one(fmt.Sprint("q", i), "t"))
	}
	for i := range 2 * maxRows {
		all = append(all, one("q0", fmt.Sprint("t", i)))
	}
	if gotOwners, gotRows, _, _, _, _ := count(); gotOwners != 2*maxOwners+1 || gotRows > 2*maxOwners+maxRows+2 {
		t.Errorf("%d owners with %d rows are in force", gotOwners, gotRows)
	}
	for _, m := range all {
		m.End()
	}
	if strings.Contains(rows(e), "Active") {
		t.Errorf("nothing is in force, but: %s", rows(e))
	}
	e.ForgetDeleted()
	if got := rows(e); got != "" {
		t.Errorf("got %s", got)
	}
}

// What an owner has come to is never hidden by what others have: those that act keep their rows, and of those that are over only such
// are added up on which the verdict is the same.
func TestManualsDoNotHideInOthers(t *testing.T) {
	e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)})
	names := func() string {
		counts, off := map[string]int{}, 0
		for _, x := range e.Report().Experiments {
			name, _, _ := strings.Cut(x.Name, " ")
			counts[fmt.Sprintf("%s %v", name, x.Injected > 0)]++
			if x.NeverActed {
				off++
			}
		}
		return fmt.Sprint(counts, " ", off, " never acted")
	}
	var all []*Manual
	for i := range maxOwners + 30 {
		m := manualOf(e, fmt.Sprint("live ", i), "t", "", 1)
		if all = append(all, m); i%10 > 0 {
			meet(m, uint64(i))
		}
	}
	if got, want := names(), "map[live false:13 live true:117] 0 never acted"; got != want {
		t.Errorf("in force: %s, want %s", got, want)
	}
	for _, m := range all {
		m.End()
	}
	if got, want := names(), "map[live false:13 live true:117] 0 never acted"; got != want {
		t.Errorf("over: %s, want %s", got, want)
	}
	for i := range maxOwners {
		m := manualOf(e, fmt.Sprint("later ", i), "t", "", 1)
		meet(m, uint64(i))
		m.End()
	}
	if got, want := names(), "map[ false:1  true:1 later true:100] 0 never acted"; got != want {
		t.Errorf("of those that are over the oldest go first: %s, want %s", got, want)
	}
	e.SetEnabled(false)
	for i := range 2 * maxOwners {
		manualOf(e, fmt.Sprint("off ", i), "t", "", 1).End()
	}
	if got, want := names(), "map[ false:2  true:1 off false:100] 101 never acted"; got != want {
		t.Errorf("switched off: %s, want %s", got, want)
	}
}

// Many owners with many toxics at once get fewer rows each.
func TestRowsOfManyOwnersAreBounded(t *testing.T) {
	e := newEngine(t, Config{})
	for o := range 2 * maxOwners {
		for i := range maxRows * 3 / 4 {
			manualOf(e, fmt.Sprint("o", o), fmt.Sprint("t", i), "", 1)
		}
	}
	n := 0
	for _, x := range e.Report().Experiments {
		n += len(x.Toxics)
	}
	if n > allRows+2*2*maxOwners {
		t.Errorf("%d rows", n)
	}
}

// The fault log has Manuals as it has Experiments, under names that these cannot have, and a replay leaves them out.
func TestManualsAreLogged(t *testing.T) {
	var log bytes.Buffer
	e := New(Config{FaultLog: &log})
	m := manualOf(e, "redis", "slow", "", 1)
	meet(m, 7)
	never := manualOf(e, "redis", "never", "", 0)
	meet(never, 7)
	e.Close()
	var got []string
	for line := range strings.Lines(log.String()) {
		var f Fault
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintln(f.Object, f.Toxic, f.Target, f.Ordinal, f.Decision, f.Bytes, f.Delay, f.Seed))
	}
	const want = "[Toxiproxy//redis slow 192.0.2.1:80 7 inject 0 0 9\n Toxiproxy//redis slow 192.0.2.1:80 7 end 10 1 9\n]"
	if fmt.Sprint(got) != want {
		t.Errorf("got %q", got)
	}
	log.WriteString(`{"object":"NetworkChaos/shop/x","toxic":"a","ordinal":3,"decision":"inject"}` + "\n")
	r, err := ReadReplay(&log)
	if err != nil || fmt.Sprint(r.Names()) != "[NetworkChaos/shop/x]" || fmt.Sprint(r.ManualSeeds()) != "[9]" {
		t.Errorf("%v: replayed are %q, seeds %v", err, r.Names(), r.ManualSeeds())
	}
}

// Connections of a TCP route are counted once each, whatever becomes of the toxics on it and however many endpoints are tried.
func TestManualsOfRoutesAreReported(t *testing.T) {
	e := newEngine(t, Config{})
	target := ManualTarget{tcpRoute, listenerID}
	before := open(t, e, 1)
	a, b := newManual(e, "a", 1), newManual(e, "b", 1)
	e.SetManual(map[ManualTarget][]*Manual{target: {a}})
	e.SetManual(map[ManualTarget][]*Manual{target: {a, b}})
	if got := fmt.Sprint(before.Experiments()); got != "[Toxiproxy//shop.db]" {
		t.Errorf("the access log names %s", got)
	}
	e.SetManual(nil)
	e.SetManual(map[ManualTarget][]*Manual{target: {b}})
	before.Close(Outcome{Upstream: 10, Downstream: 20})
	retried := open(t, e, 2)
	retried.Close(Outcome{Retried: true})
	again := e.Open(Place{Route: tcpRoute, Listener: listenerID, Client: retried.place.Client, Attempt: 2})
	again.Close(Outcome{Failed: true, Retries: 1})
	e.SetManual(nil)
	open(t, e, 3).Close(Outcome{Upstream: 1000})
	if got, want := rows(e), "shop.db Active 2/2: a(latency=1)0 1/1 0 b(latency=1)0 2/2 0\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	x := e.Report().Experiments[0].InjectedTraffic
	if x.Connections != 2 || x.Failed != 1 || x.UpstreamBytes != 10 || x.DownstreamBytes != 20 || x.Retries != 1 {
		t.Errorf("got %+v", x)
	}
}

// Before a run everything of an earlier one is forgotten, be some toxic left: nothing of it is reported, nor is what becomes of its
// connections.
func TestForgottenManualsBeginAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, Config{})
		defer e.Close()
		keep, gone := manualOf(e, "redis", "never", "", 0), manualOf(e, "redis", "slow", "", 1)
		for i := range uint64(5) {
			meet(gone, i)
		}
		var open Meeting
		open.Actives([]*Manual{keep, gone}, 5, "")
		gone.End()
		time.Sleep(time.Hour)
		e.ForgetDeleted()
		open.Close(Outcome{Failed: true, Upstream: 1}, time.Second)
		x := e.Report().Experiments[0]
		if got := rows(e); got != "redis Active 0/0: never()0 0/0 0\n" || !x.Start.Equal(time.Now()) || x.End != nil || x.NeverActed ||
			x.InjectedTraffic.Connections+x.UninjectedTraffic.Connections != 0 {
			t.Errorf("%s%+v", got, x)
		}
		meet(keep, 6)
		x = e.Report().Experiments[0]
		if got := rows(e); got != "redis Active 0/1: never()0 0/1 0\n" || x.UninjectedTraffic.Connections != 1 {
			t.Errorf("%s%+v", got, x)
		}
		e.SetEnabled(false)
		manualOf(e, "redis", "slow", "", 1).End()
		e.ForgetDeleted()
		if x := e.Report().Experiments[0]; !x.NeverActed || x.End != nil {
			t.Errorf("switched off: %+v", x)
		}
		keep.End()
	})
}

// A connection counts once for each toxic, however often that is switched off and on; another form of the toxic counts anew.
func TestSwitchesCountNothingAnew(t *testing.T) {
	e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)})
	target := ManualTarget{tcpRoute, listenerID}
	use := func(all ...*Manual) { e.SetManual(map[ManualTarget][]*Manual{target: all}) }
	a, never := newManual(e, "a", 1), newManual(e, "never", 0)
	use(a, never)
	open(t, e, 1)
	for range 3 {
		e.SetEnabled(false)
		e.SetEnabled(true)
	}
	const once = "shop.db Active 1/1: a(latency=1)0 1/1 0 never(latency=1)0 0/1 0\n"
	if got, n := rows(e), e.ManualCounts()["latency"]; got != once || n != 1 {
		t.Errorf("%d, %s", n, got)
	}
	use(never)
	use(never, newManual(e, "a", 1))
	const anew = "shop.db Active 1/1: a(latency=1)0 2/2 0 never(latency=1)0 0/1 0\n"
	if got, n := rows(e), e.ManualCounts()["latency"]; got != anew || n != 2 {
		t.Errorf("%d, %s", n, got)
	}
}

// The report says when the toxics of a proxy have ceased to act: when the last went, or when they were switched off.
func TestReportedEndOfManuals(t *testing.T) {
	const none = time.Duration(-1)
	type manuals func(name string) *Manual
	for _, c := range []struct {
		name string
		use  func(e *Engine, begin manuals)
		want time.Duration
	}{
		{"in force", func(_ *Engine, begin manuals) { begin("a") }, none},
		{"removed", func(_ *Engine, begin manuals) { endIn(time.Minute, begin("a")) }, time.Minute},
		{"one of two removed", func(_ *Engine, begin manuals) {
			begin("b")
			endIn(time.Minute, begin("a"))
		}, none},
		{"made again", func(_ *Engine, begin manuals) {
			endIn(time.Minute, begin("a"))
			begin("a")
		}, none},
		{"switched off", func(e *Engine, begin manuals) {
			begin("a")
			switchIn(time.Minute, e, false)
			time.Sleep(time.Minute)
		}, time.Minute},
		{"switched off, then removed", func(e *Engine, begin manuals) {
			a := begin("a")
			switchIn(time.Minute, e, false)
			endIn(time.Minute, a)
		}, time.Minute},
		{"removed, made again while switched off", func(e *Engine, begin manuals) {
			endIn(time.Minute, begin("a"))
			switchIn(time.Minute, e, false)
			begin("a")
		}, time.Minute},
		{"switched off and on", func(e *Engine, begin manuals) {
			begin("a")
			switchIn(time.Minute, e, false)
			switchIn(time.Minute, e, true)
		}, none},
		{"switched off before, removed", func(e *Engine, begin manuals) {
			e.SetEnabled(false)
			endIn(time.Minute, begin("a"))
		}, none},
		{"switched off before, on later", func(e *Engine, begin manuals) {
			e.SetEnabled(false)
			a := begin("a")
			switchIn(time.Minute, e, true)
			endIn(time.Minute, a)
		}, 2 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEngine(t, Config{Log: slog.New(slog.DiscardHandler)})
				defer e.Close()
				c.use(e, func(name string) *Manual { return manualOf(e, "redis", name, "", 1) })
				time.Sleep(time.Minute)
				x, got := e.Report().Experiments[0], none
				if x.End != nil {
					got = x.End.Sub(*x.Start)
				}
				if got != c.want {
					t.Errorf("%s, ended after %v, want %v", x.Phase, got, c.want)
				}
			})
		})
	}
}

func endIn(d time.Duration, m *Manual) {
	time.Sleep(d)
	m.End()
}

func switchIn(d time.Duration, e *Engine, on bool) {
	time.Sleep(d)
	e.SetEnabled(on)
}
