package measure

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestParseStatReadsParentAndTimes(t *testing.T) {
	tests := map[string]struct {
		text string
		want process
		ok   bool
	}{
		"plain":                     {"7 (nginx) S 3 7 7 0 -1 4194560 1 2 3 4 150 25 0 0 20 0 1", process{3, CPU{1500 * time.Millisecond, 250 * time.Millisecond}}, true},
		"spaces and parens in name": {"7 (a) b (c) S 3 7 7 0 -1 4194560 1 2 3 4 1 2 0 0", process{3, CPU{10 * time.Millisecond, 20 * time.Millisecond}}, true},
		"no name":                   {"7 nginx S 3", process{}, false},
		"short":                     {"7 (nginx) S 3 7 7", process{}, false},
		"not a number":              {"7 (nginx) S 3 7 7 0 -1 4194560 1 2 3 4 x 25 0", process{}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat(test.text)
			if (err == nil) != test.ok || got != test.want {
				t.Errorf("parseStat = %+v, %v; want %+v, ok %v", got, err, test.want, test.ok)
			}
		})
	}
}

func TestParseRollupReadsOnlyPss(t *testing.T) {
	tests := map[string]struct {
		text string
		want int64
		ok   bool
	}{
		"whole file": {"5581-7ffd ---p 00000000 00:00 0 [rollup]\nRss:  9000 kB\nPss:   1536 kB\nPss_Dirty: 7 kB\nPss_Anon: 8 kB\n", 1536 * 1024, true},
		"none":       {"Rss: 9000 kB\nPss_Dirty: 7 kB\n", 0, false},
		"other unit": {"Pss: 12 MB\n", 0, false},
		"no number":  {"Pss: much kB\n", 0, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseRollup(test.text)
			if (err == nil) != test.ok || got != test.want {
				t.Errorf("parseRollup = %d, %v; want %d, ok %v", got, err, test.want, test.ok)
			}
		})
	}
}

func TestFamilyHoldsDescendants(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sh -c 'echo started; read line <&3' & wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	hold, release, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer release.Close()
	cmd.ExtraFiles = []*os.File{hold}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	family, err := Family(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := family[cmd.Process.Pid]; !ok || len(family) < 3 {
		t.Errorf("family %v lacks the child %d or its own child", family, cmd.Process.Pid)
	}
	_ = release.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestSinceCountsTheWholeFamily(t *testing.T) {
	earlier := Sample{1: {User: 10, System: 5}, 2: {User: 1, System: 1}}
	later := Sample{1: {User: 30, System: 6}, 2: {User: 2, System: 3}, 3: {User: 4}}
	if got, err := later.Since(earlier); err != nil || got != (CPU{User: 25, System: 3}) {
		t.Errorf("Since = %+v, %v; want User 25, System 3", got, err)
	}
	if _, err := earlier.Since(later); err == nil {
		t.Error("a process that ended was not noticed")
	}
}

func TestPSSOfThisProcessIsPlausible(t *testing.T) {
	before, err := PSS(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	grown, err := syscall.Mmap(-1, 0, 64<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(grown); i += 4096 {
		grown[i] = 1
	}
	after, err := PSS(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if delta := after - before; delta < 60<<20 || delta > 80<<20 {
		t.Errorf("64 MiB touched, PSS grew by %d bytes", delta)
	}
	if err := syscall.Munmap(grown); err != nil {
		t.Fatal(err)
	}
}

func TestStatistics(t *testing.T) {
	if got := Summarize([]float64{5, 1, 3}); got != (Summary{3, 3, 1, 5}) {
		t.Errorf("odd: %+v", got)
	}
	if got := Summarize([]float64{4, 1, 2, 9}); got != (Summary{4, 3, 1, 9}) {
		t.Errorf("even: %+v", got)
	}
	if got := Summarize(nil); got != (Summary{}) {
		t.Errorf("empty: %+v", got)
	}
	if got := Ratios([]float64{10, 30, 40, 7}, []float64{20, 10, 0}); got != (Summary{2, 1.75, 0.5, 3}) {
		t.Errorf("ratios: %+v", got)
	}
	series := make([]float64, 100)
	for i := range series {
		series[i] = float64(100 - i)
	}
	for q, want := range map[float64]float64{0: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := Percentile(series, q); got != want {
			t.Errorf("Percentile %v = %v, want %v", q, got, want)
		}
	}
	if got := Percentile([]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.25); got != 3 {
		t.Errorf("rank between two figures: %v, want 3", got)
	}
	if got := Percentile([]float64{7}, 0.99); got != 7 {
		t.Errorf("one figure: %v", got)
	}
}

func TestClockCountsWhatTheProcessUses(t *testing.T) {
	before, err := Clock(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		now, err := Clock(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if now-before >= 5*time.Millisecond {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v of CPU time in 20 s of work", now-before)
		}
	}
	if _, err := Clock(1 << 22); err == nil { // above pid_max
		t.Error("a clock of no process")
	}
}

func TestConnectionsAreThoseOfTheProcessToTheAddress(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	to := netip.MustParseAddrPort(listener.Addr().String())
	for want := range 3 {
		if got, err := Connections(os.Getpid(), to); err != nil || got != want {
			t.Errorf("%d connections, %v; want %d", got, err, want)
		}
		conn, err := net.Dial("tcp4", to.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	table := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: 0100007F:A001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 111 1 0\n" +
		"   1: 0100007F:A002 0100007F:1F90 06 00000000:00000000 00:00000000 00000000     0        0 222 1 0\n" +
		"   2: 0100007F:A003 0100007F:1F91 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0\n"
	if got := socketsTo(table, netip.MustParseAddrPort("127.0.0.1:8080")); len(got) != 1 || !got["socket:[111]"] {
		t.Errorf("sockets %v, want the first alone", got)
	}
}
