package toxic

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/breakwater-gateway/breakwater/proxy"
)

func TestBudgetShares(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct{ limit, used, buffer, want int }{
		{8 * mib, 0, 32 * mib, 8 * mib},
		{8 * mib, 0, 2 * mib, 2 * mib},
		{8 * mib, 5 * mib, 32 * mib, 3 * mib},
		{8 * mib, 8 * mib, 32 * mib, Least},
		{8 * mib, 9 * mib, 32 * mib, Least},
		{8 * mib, 9 * mib, 1000, 1000},
	} {
		b := NewBudget(int64(c.limit))
		b.charge(c.used)
		if got := b.share(c.buffer); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	var none *Budget
	none.charge(5)
	if got := none.share(7); got != 7 || none.Used() != 0 || none.Limit() != 0 {
		t.Errorf("without a Budget %d, %d are used", got, none.Used())
	}
}

// TestBudgetBoundsAllLinks: peers that send without end into toxics that hold everything fill no more than the Budget and what each
// may have anyway; nothing is lost; and nothing is left in the account.
func TestBudgetBoundsAllLinks(t *testing.T) {
	const links, limit = 12, 4 << 20
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(limit)
		var benches []*bench
		for range links {
			b := newBench(Options{Budget: budget}, down("l", Latency{Latency: fixed(3_600_000)}))
			b.send(make([]byte, 2<<20), 100_000, 0)
			benches = append(benches, b)
		}
		time.Sleep(time.Minute)
		used := budget.Used()
		if most := int64(limit + links*2*Least); used > most || used < limit/2 {
			t.Errorf("%d bytes are held, at most %d may be", used, most)
		}
		for _, b := range benches {
			b.slot.Set()
			if _, total := b.arrivals(); total != 2<<20 {
				t.Errorf("%d bytes arrive", total)
			}
			b.close()
		}
		if used := budget.Used(); used != 0 {
			t.Errorf("%d bytes are said to be held in the end", used)
		}
	})
}

// TestBudgetCountsPieces: what a toxic cuts into small pieces takes many times the memory of its bytes, so fewer of them are taken in.
func TestBudgetCountsPieces(t *testing.T) {
	const size, limit = 4 << 20, 8 << 20
	hour := fixed(3_600_000)
	for name, toxics := range map[string][]Active{
		"slicer":          {down("s", Slicer{AverageSize: fixed(1)}), down("l", Latency{Latency: hour})},
		"slicer, timeout": {down("s", Slicer{AverageSize: fixed(1)}), down("l", Timeout{})},
		"stall":           {down("s", Stall{Duration: hour, EveryBytes: fixed(1)})},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var before, now runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				budget := NewBudget(limit)
				b := newBench(Options{Budget: budget}, toxics...)
				b.send(make([]byte, size), 100_000, 0)
				time.Sleep(time.Minute)
				runtime.GC()
				runtime.ReadMemStats(&now)
				if grown := int64(now.HeapAlloc) - int64(before.HeapAlloc); grown > 2*limit+size {
					t.Errorf("the heap has grown by %d MiB, %d MiB are said to be held", grown>>20, budget.Used()>>20)
				}
				b.slot.Set()
				if _, total := b.arrivals(); total != size {
					t.Errorf("%d bytes arrive", total)
				}
				b.close()
				if used := budget.Used(); used != 0 {
					t.Errorf("%d bytes are said to be held in the end", used)
				}
			})
		})
	}
}

func TestEntrySize(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size != entrySize {
		t.Errorf("an entry takes %d bytes", size)
	}
}

// TestBudgetLeavesRoom: who comes when others have filled their shares goes on, slowly.
func TestBudgetLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(1 << 20)
		var hogs []*bench
		for range 8 {
			b := newBench(Options{Budget: budget}, down("l", Latency{Latency: fixed(3_600_000)}))
			b.send(make([]byte, 2<<20), 100_000, 0)
			hogs = append(hogs, b)
		}
		time.Sleep(time.Minute)
		b := newBench(Options{Budget: budget}, down("l", Latency{Latency: fixed(100)}))
		b.send(make([]byte, 1<<20), 100_000, 0)
		if _, total := b.arrivals(); total != 1<<20 {
			t.Errorf("%d bytes arrive", total)
		}
		if took := b.elapsed(); took > time.Minute {
			t.Errorf("a megabyte takes %v", took)
		}
		b.close()
		for _, h := range hogs {
			h.close()
		}
		if used := budget.Used(); used != 0 {
			t.Errorf("%d bytes are said to be held in the end", used)
		}
	})
}

func TestBudgetBoundsDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(256 << 10)
		var links []*DatagramLink
		for range 4 {
			l := NewDatagramLink(NewSlot(act("l", proxy.Upstreamward, Latency{Latency: fixed(1000)})), func(proxy.Direction, []byte) {}, Options{Budget: budget})
			for range 1000 {
				l.Pass(proxy.Upstreamward, make([]byte, 1000))
			}
			links = append(links, l)
		}
		if used := budget.Used(); used > 256<<10+4*Least || used < 128<<10 {
			t.Errorf("%d bytes are held", used)
		}
		time.Sleep(2 * time.Second)
		if used := budget.Used(); used != 0 {
			t.Errorf("%d bytes are said to be held after all have left", used)
		}
		for _, l := range links[:2] {
			l.Pass(proxy.Upstreamward, make([]byte, 1000))
		}
		for _, l := range links {
			l.Close()
		}
		if used := budget.Used(); used != 0 {
			t.Errorf("%d bytes are said to be held in the end", used)
		}
	})
}
