package toxic

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

const (
	// turn is when the numbers of these tests step: there is time for thousands of messages before it.
	turn = 365 * 24 * time.Hour
	// apart is the time between messages that are to have nothing to do with each other.
	apart = 20 * time.Minute
)

// kind says what a toxic acts on.
type kind string

const (
	streams   kind = "stream"
	datagrams kind = "datagrams"
)

func (k kind) has(toxic proxy.Toxic) (is bool) {
	if k == streams {
		_, is = toxic.(Stream)
	} else {
		_, is = toxic.(Datagram)
	}
	return is
}

// trial is a toxic at work on one direction of a stream or session, in virtual time. Datagrams that it lets out are Chunks, too.
type trial struct {
	now    time.Duration // on the stream's clock
	opened []Chunk       // let out when the stream was opened, at 0
	shape  func(Chunk) []Chunk
	sent   uint32
}

// try begins a stream that is now so old, on which the toxic came into force at a time.
func try(k kind, toxic proxy.Toxic, began, now time.Duration) *trial {
	var out []Chunk
	take := func(c Chunk) {
		c.Data = bytes.Clone(c.Data)
		out = append(out, c)
	}
	s := site(1)
	s.Began = began
	tr := &trial{now: now}
	if k == datagrams {
		d := toxic.(Datagram).NewDatagram(s)
		tr.shape = func(c Chunk) []Chunk {
			out = nil
			d.ShapePacket(Packet{c.Data, c.Due}, func(p Packet) { take(Chunk{Data: p.Data, Due: p.Due}) })
			return out
		}
		return tr
	}
	sh := toxic.(Stream).New(s)
	tr.shape = func(c Chunk) []Chunk {
		out = nil
		sh.Shape(c, take)
		return out
	}
	tr.opened = tr.shape(Chunk{Open: true})
	return tr
}

// send sends a message of a size, which begins with its number if there is room.
func (tr *trial) send(size int) []Chunk {
	p := make([]byte, size)
	if size >= 4 {
		binary.BigEndian.PutUint32(p, tr.sent)
	}
	tr.sent++
	return tr.shape(Chunk{Data: p, Due: tr.now})
}

// lates sends n messages and returns how late each is, in milliseconds.
func (tr *trial) lates(n, size int, apart time.Duration) []float64 {
	late := make([]float64, n)
	for i := range late {
		all := tr.send(size)
		late[i] = inMillis(all[len(all)-1].Due - tr.now)
		tr.now += apart
	}
	return late
}

func inMillis(d time.Duration) float64 { return d.Seconds() * 1000 }

// What follows measures what a toxic does, in the unit of the number it is measured for unless it says otherwise.

func lateness(tr *trial) float64 { return tr.lates(1, 1, 0)[0] }

// lateByWindow is how late the last of more than one initial window, and less than two, comes.
func lateByWindow(tr *trial) float64 { return tr.lates(1, 15*1448, 0)[0] }

// jitter is the farthest from 500 ms.
func jitter(tr *trial) (most float64) {
	for _, late := range tr.lates(1000, 1, apart) {
		most = max(most, math.Abs(late-500))
	}
	return most
}

func correlation(tr *trial) float64 { return lagOne(tr.lates(10000, 1, apart)) }

// shareLate is that of messages which are late at all.
func shareLate(tr *trial) float64 {
	late := tr.lates(2000, 1, apart)
	return float64(len(slices.DeleteFunc(late, func(ms float64) bool { return ms == 0 }))) / 2000
}

// leastTimeout is by how much the least of the messages that are late is later than a round trip of 20 ms.
func leastTimeout(tr *trial) float64 {
	late := slices.DeleteFunc(tr.lates(200, 1, apart), func(ms float64) bool { return ms == 0 })
	return slices.Min(late) - 20
}

// timeoutsInRow is how often, in the mean, a message that is late has been lost in a row: the timeouts of 220 ms are doubled from
// the second on, since the first one sends a probe.
func timeoutsInRow(tr *trial) float64 {
	var rows, lost float64
	for _, late := range tr.lates(10000, 1, apart) {
		if late > 0 {
			rows++
			lost += 1 + math.Round(math.Log2(late/220))
		}
	}
	return lost / rows
}

// lossesInRow is how many messages, in the mean, are lost in a row.
func lossesInRow(tr *trial) float64 {
	var rows, lost float64
	for was := false; tr.sent < 20000; {
		is := len(tr.send(1)) == 0
		if is {
			lost++
		}
		if is && !was {
			rows++
		}
		was = is
	}
	return lost / rows
}

func shareLost(tr *trial) float64 {
	lost := 0.0
	for range 2000 {
		if len(tr.send(1)) == 0 {
			lost++
		}
	}
	return lost / 2000
}

// bytesPerSecond is that of the second of two messages that are sent at once.
func bytesPerSecond(tr *trial) float64 {
	first, second := tr.send(100), tr.send(100)
	return 100 / (second[len(second)-1].Due - first[len(first)-1].Due).Seconds()
}

// piece measures the size of one of the pieces in which a large message comes.
func piece(i int) func(*trial) float64 {
	return func(tr *trial) float64 { return float64(len(tr.send(30000)[i].Data)) }
}

// variation is the farthest from 100 bytes of any piece but the last.
func variation(tr *trial) (most float64) {
	all := tr.send(30000)
	for _, c := range all[:len(all)-1] {
		most = max(most, math.Abs(float64(len(c.Data))-100))
	}
	return most
}

// gap is the time between the first two that come of a message, in milliseconds.
func gap(tr *trial) float64 {
	all := tr.send(1000)
	return inMillis(all[1].Due - all[0].Due)
}

// spread is the time between the first and the last that comes of a message of 64 segments, in milliseconds.
func spread(tr *trial) float64 {
	all := tr.send(64 * 1448)
	return inMillis(all[len(all)-1].Due - all[0].Due)
}

// stalls returns when stalls begin within a second from now, in milliseconds, but for one at once.
func stalls(tr *trial) (begin []float64) {
	late := tr.lates(1000, 1, milli)
	for i := 1; i < len(late); i++ {
		if late[i] > 0 && late[i-1] == 0 {
			begin = append(begin, float64(i))
		}
	}
	return begin
}

func firstStall(tr *trial) float64 { return stalls(tr)[0] }

func betweenStalls(tr *trial) float64 {
	begin := stalls(tr)
	return begin[1] - begin[0]
}

// end is when the stream ends, in milliseconds from now, on which a byte is sent, and then its end.
func end(tr *trial) float64 {
	at := Never
	for _, c := range slices.Concat(tr.opened, tr.send(1), tr.shape(Chunk{Due: tr.now, End: FIN})) {
		if c.End != None && c.Due != Never {
			at = c.Due
		}
	}
	return inMillis(at - tr.now)
}

// shareFlipped is that of bytes which are changed.
func shareFlipped(tr *trial) float64 {
	const n = 20000
	return 1 - float64(bytes.Count(tr.shape(Chunk{Data: make([]byte, n), Due: tr.now})[0].Data, []byte{0}))/n
}

// copies is how many come of a message beside itself, in the mean.
func copies(tr *trial) float64 {
	n := 0
	for range 2000 {
		n += len(tr.send(1)) - 1
	}
	return float64(n) / 2000
}

// overtaking is by how many others a message is overtaken, at most.
func overtaking(tr *trial) (most float64) {
	var came []uint32
	for range 1000 {
		for _, c := range tr.send(4) {
			n := binary.BigEndian.Uint32(c.Data)
			later := slices.DeleteFunc(slices.Clone(came), func(other uint32) bool { return other < n })
			most = max(most, float64(len(later)))
			came = append(came, n)
		}
		tr.now += milli
	}
	return most
}

// bytesIn is how many bytes of many messages find room at once.
func bytesIn(tr *trial) (n float64) {
	for range 100 {
		for _, c := range tr.send(1000) {
			n += float64(len(c.Data))
		}
	}
	return n
}

// step is a number of a toxic that steps, and what shows that it has.
type step struct {
	toxic    proxy.Toxic
	field    string
	from, to float64
	shows    func(*trial) float64
	// before and after are what it shows, if that is not the numbers themselves.
	before, after float64
	// only is the kind for which this holds; "": all that the toxic has.
	only kind
	// isOfBeginning is true of what stays for a connection's life as it is at the connection's beginning.
	isOfBeginning bool
}

// steps has every number of every toxic.
func steps() []step {
	latency, delay := Latency{Latency: fixed(500), Jitter: fixed(60)}, Delay{Latency: fixed(500), Jitter: fixed(60)}
	path := PacketLoss{RTT: fixed(20)}
	lossy, steady, bursts := path, path, path
	lossy.Loss.Rate = fixed(0.3)
	steady.Steady = true
	bursts.Loss = Loss{Rate: fixed(0.1), Burst: fixed(2)}
	byBytes := Stall{Duration: fixed(1), Bytes: fixed(100)}
	const single = 1 / 0.9 // losses in a row, if a tenth is lost, each by itself
	const pace = 20 / 1.22 // of a steady loss: the milliseconds for a segment, by the root of the loss
	return []step{
		{toxic: latency, field: "Latency", from: 100, to: 900, shows: lateness},
		{toxic: latency, field: "Jitter", from: 100, to: 20, shows: jitter},
		{toxic: latency, field: "Distribution.Correlation", from: 0, to: 0.8, shows: correlation},
		{toxic: Bandwidth{}, field: "Rate", from: 1000, to: 10000, shows: bytesPerSecond},
		{toxic: SlowClose{}, field: "Delay", from: 100, to: 300, shows: end},
		{toxic: Timeout{}, field: "Timeout", from: 100, to: 300, shows: end, only: streams},
		{toxic: Timeout{}, field: "Timeout", from: 100, to: 300, shows: shareLost, before: 1, after: 1, only: datagrams},
		{toxic: ResetPeer{}, field: "Timeout", from: 100, to: 300, shows: end, isOfBeginning: true},
		{toxic: Slicer{}, field: "AverageSize", from: 100, to: 300, shows: piece(0)},
		{toxic: Slicer{}, field: "AverageSize", from: 0, to: 100, shows: piece(0), before: 30000, after: 100}, // at 0 it cuts nothing
		{toxic: Slicer{AverageSize: fixed(100)}, field: "SizeVariation", from: 40, to: 10, shows: variation},
		{toxic: Slicer{AverageSize: fixed(100)}, field: "Delay", from: 1000, to: 5000, shows: gap, before: 1, after: 5},
		{toxic: LimitData{}, field: "Bytes", from: 100, to: 300, shows: piece(0)},
		{toxic: byBytes, field: "Duration", from: 100, to: 300, shows: gap},
		{toxic: Stall{Duration: fixed(10)}, field: "At", from: 100, to: 300, shows: firstStall, isOfBeginning: true},
		{toxic: Stall{Duration: fixed(10)}, field: "Every", from: 100, to: 300, shows: betweenStalls},
		{toxic: byBytes, field: "Bytes", from: 100, to: 300, shows: piece(0), isOfBeginning: true},
		{toxic: byBytes, field: "EveryBytes", from: 200, to: 400, shows: piece(1)},
		{toxic: path, field: "Loss.Rate", from: 0.1, to: 0.3, shows: shareLate},
		{toxic: bursts, field: "Loss.Burst", from: 1, to: 2, shows: timeoutsInRow, before: single, after: 2},
		{toxic: bursts, field: "Loss.InBad", from: 1, to: 0.2, shows: timeoutsInRow, before: 2, after: single},
		{toxic: bursts, field: "Loss.InGood", from: 0, to: 0.1, shows: timeoutsInRow, before: 2, after: single},
		{toxic: path, field: "RTT", from: 20, to: 200, shows: lateByWindow, isOfBeginning: true},
		{toxic: path, field: "MSS", from: 1000, to: 500, shows: piece(0), before: 10000, after: 5000, isOfBeginning: true}, // of a window
		{toxic: lossy, field: "RTOMin", from: 50, to: 200, shows: leastTimeout, isOfBeginning: true},
		{toxic: steady, field: "Loss.Rate", from: 0.01, to: 0.04, shows: spread, before: 63 * pace * 0.1, after: 63 * pace * 0.2},
		{toxic: Corrupt{}, field: "Rate", from: 0.1, to: 0.5, shows: shareFlipped},

		{toxic: Drop{}, field: "Loss.Rate", from: 0.1, to: 0.3, shows: shareLost},
		{toxic: Drop{bursts.Loss}, field: "Loss.Burst", from: 1, to: 2, shows: lossesInRow, before: single, after: 2},
		{toxic: Drop{bursts.Loss}, field: "Loss.InBad", from: 1, to: 0.2, shows: lossesInRow, before: 2, after: single},
		{toxic: Drop{bursts.Loss}, field: "Loss.InGood", from: 0, to: 0.1, shows: lossesInRow, before: 2, after: single},
		{toxic: Duplicate{}, field: "Rate", from: 0.1, to: 0.3, shows: copies},
		{toxic: Duplicate{Rate: fixed(1)}, field: "Copies", from: 1, to: 3, shows: copies},
		{toxic: Duplicate{Rate: fixed(1)}, field: "Delay", from: 10, to: 30, shows: gap},
		{toxic: Reorder{Delay: fixed(50)}, field: "Rate", from: 0.1, to: 0.3, shows: shareLate},
		{toxic: Reorder{Rate: fixed(0.05)}, field: "Packets", from: 2, to: 10, shows: overtaking},
		{toxic: Reorder{Rate: fixed(1)}, field: "Delay", from: 10, to: 30, shows: lateness},
		{toxic: delay, field: "Latency", from: 100, to: 900, shows: lateness},
		{toxic: delay, field: "Jitter", from: 100, to: 20, shows: jitter},
		{toxic: delay, field: "Distribution.Correlation", from: 0, to: 0.8, shows: correlation},
		{toxic: Rate{}, field: "Rate", from: 1000, to: 10000, shows: bytesPerSecond},
		{toxic: Rate{Rate: fixed(1000)}, field: "Queue", from: 2000, to: 10000, shows: bytesIn},
		{toxic: Truncate{}, field: "Bytes", from: 100, to: 300, shows: piece(0)},
	}
}

// TestEveryNumberMayChange: each number of each toxic that steps is one thing before its time, counted from when the toxic has come
// into force, and another one after it: on a connection that is older than the step, and on one that is made after it.
func TestEveryNumberMayChange(t *testing.T) {
	t.Parallel()
	missing := map[string]bool{}
	for _, toxic := range Types() {
		for _, k := range []kind{streams, datagrams} {
			for _, field := range numbersOf(reflect.TypeOf(toxic)) {
				missing[fmt.Sprint(toxic.Type(), " ", field, " ", k)] = k.has(toxic)
			}
		}
	}
	for _, c := range steps() {
		toxic := c.stepping(t)
		for _, k := range []kind{streams, datagrams} {
			if !k.has(toxic) || c.only != "" && c.only != k {
				continue
			}
			name := fmt.Sprint(toxic.Type(), " ", c.field, " ", k)
			missing[name] = false
			t.Run(name, func(t *testing.T) { c.test(t, k, toxic) })
		}
	}
	for name, is := range missing {
		if is {
			t.Errorf("nothing shows that %s may change over time", name)
		}
	}
}

// stepping returns the toxic with the number that steps at turn.
func (c step) stepping(t *testing.T) proxy.Toxic {
	t.Helper()
	toxic := reflect.New(reflect.TypeOf(c.toxic)).Elem()
	toxic.Set(reflect.ValueOf(c.toxic))
	number := toxic
	for name := range strings.SplitSeq(c.field, ".") {
		number = number.FieldByName(name)
	}
	number.Set(reflect.ValueOf(then(c.from, c.to, turn)))
	stepping := toxic.Interface().(proxy.Toxic)
	if err := stepping.(interface{ Validate() error }).Validate(); err != nil {
		t.Fatalf("%s %s: %v", c.toxic.Type(), c.field, err)
	}
	return stepping
}

func (c step) test(t *testing.T, k kind, toxic proxy.Toxic) {
	before, after := c.before, c.after
	if before == 0 && after == 0 {
		before, after = c.from, c.to
	}
	most := max(math.Abs(after-before)/8, 1e-6)
	for age, want := range map[time.Duration]float64{turn / 2: before, turn + turn/2: after} {
		for name, tr := range map[string]*trial{
			"older": try(k, toxic, 0, age),
			"new":   try(k, toxic, -age, 0),
		} {
			if name == "older" && c.isOfBeginning {
				continue
			}
			if got := c.shows(tr); !(math.Abs(got-want) <= most) {
				t.Errorf("%v after the toxic, on the %s connection: %v, want %v", age, name, got, want)
			}
		}
	}
}

// numbersOf returns the numbers of a toxic that may change over time, by their names in Go.
func numbersOf(typ reflect.Type) (names []string) {
	for f := range typ.Fields() {
		switch {
		case f.Type == reflect.TypeFor[shape.Value]():
			names = append(names, f.Name)
		case f.Type.Kind() == reflect.Struct:
			for _, name := range numbersOf(f.Type) {
				names = append(names, f.Name+"."+name)
			}
		}
	}
	return names
}
