package load

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const figures = "Running 1s test\n  12 requests in 1.00s\nfigures requests=12 bytes=4096 duration=1000123 p50=250 p99=1900 connect=1 read=2 write=3 timeout=4 status=5\n"

func TestFiguresOfWrkAreRead(t *testing.T) {
	got, err := parseFigures(figures)
	want := Result{
		Requests: 12, Bytes: 4096, Duration: 1000123 * time.Microsecond, P50: 250 * time.Microsecond, P99: 1900 * time.Microsecond,
		Connect: 1, Read: 2, Write: 3, Timeout: 4, Status: 5,
	}
	if err != nil || got != want {
		t.Errorf("parseFigures = %+v, %v; want %+v", got, err, want)
	}
	if got.Errors() != 15 {
		t.Errorf("Errors = %d, want 15", got.Errors())
	}
}

func TestOutputWithoutFiguresIsAnError(t *testing.T) {
	for _, out := range []string{
		"",
		"unable to connect to 127.0.0.1:1 Connection refused\n",
		strings.Replace(figures, "p50=250 ", "", 1),
		strings.Replace(figures, "p50=250", "p50=nan", 1),
		strings.Replace(figures, "p50=250", "p99=250", 1),
		strings.Replace(figures, "p50=250", "other=250", 1),
	} {
		if got, err := parseFigures(out); err == nil {
			t.Errorf("%q gave %+v and no error", out, got)
		}
	}
}

func FuzzParseFigures(f *testing.F) {
	f.Add(figures)
	f.Fuzz(func(_ *testing.T, out string) { _, _ = parseFigures(out) })
}

func TestLongBodiesAreCountedByBytes(t *testing.T) {
	r := Result{Requests: 3, Bytes: 50 << 20}
	for _, w := range Workloads() {
		want := 3.0
		if w.Name == "get10m" {
			want = 5
		}
		if got := w.Requests(r); got != want {
			t.Errorf("%s: %v requests, want %v", w.Name, got, want)
		}
	}
}

func TestArgumentsSayTheSameToBothGenerators(t *testing.T) {
	w := Workload{Method: "POST", Path: "/p", Body: 1024, Connections: 7, Seconds: 2}
	run := w.Run(Generator{Dir: t.TempDir()}, "http://127.0.0.1:1", "h")
	args, err := run.arguments()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(args, " ")
	for _, want := range []string{"wrk -t1 -c7 -d2s ", " -H Host: h ", " http://127.0.0.1:1/p"} {
		if !strings.Contains(text+" ", want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
	if script := run.script(); !strings.Contains(script, `wrk.method = "POST"`) || !strings.Contains(script, `string.rep("x", 1024)`) {
		t.Errorf("script:\n%s", script)
	}
	run.Hosts, run.Host = 30, "h%d.example.com"
	if script := run.script(); !strings.Contains(script, "for i = 0, 29 do") || !strings.Contains(script, `string.format("h%d.example.com", i)`) {
		t.Errorf("script:\n%s", script)
	}
	run.Own = "/bin/load"
	args, err = run.arguments()
	want := "/bin/load --url http://127.0.0.1:1/p --host h%d.example.com --hosts 30 --turn 0 --method POST --body 1024 --connections 7 --duration 2s"
	if err != nil || strings.Join(args, " ") != want {
		t.Errorf("arguments %q, %v; want %q", args, err, want)
	}
}

func TestRequestsInTurnAreAsManyWhateverTheNumberOfHosts(t *testing.T) {
	run := Run{Host: "h%d.example.com", Hosts: 10, Turn: 5000}
	script := run.script()
	for _, want := range []string{"for i = 0, 4999 do", `string.format("h%d.example.com", i % 10)`, `wrk.headers["X-Turn"] = string.format("%07d", i)`, "turn = turn % #requests + 1"} {
		if !strings.Contains(script, want) {
			t.Errorf("no %q in the script:\n%s", want, script)
		}
	}
	run.Generator.Dir, run.Hosts = t.TempDir(), 1
	if args, err := run.arguments(); err != nil || strings.Contains(strings.Join(args, " "), "Host:") {
		t.Errorf("arguments %q, %v: the Host is in the requests", args, err)
	}
	run.Own = "/bin/load"
	if args, err := run.arguments(); err != nil || !strings.Contains(strings.Join(args, " "), " --hosts 1 --turn 5000 ") {
		t.Errorf("arguments %q, %v", args, err)
	}
}
