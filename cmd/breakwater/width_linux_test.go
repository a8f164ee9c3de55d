package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/breakwater-gateway/breakwater/proxy/chaos"
)

// terminal returns both ends of a terminal that has so many columns: what a person sees, and what a program writes to.
func terminal(t *testing.T, columns uint16) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no terminals here:", err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	fd := int(screen.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns})
	}
	if err == nil {
		tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Skip("no terminals here:", err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return screen, tty
}

// A report fits the terminal that it goes to, at the end of the demo too, and nowhere else is anything left out for that.
func TestReportFitsTheTerminal(t *testing.T) {
	start := time.Date(2026, 11, 21, 23, 16, 5, 0, time.UTC)
	r := chaos.Report{Time: start.Add(time.Minute), Enabled: true, Experiments: []chaos.ExperimentReport{{
		Kind: chaos.ManualKind, Name: "shop.database", Phase: "Active", Start: &start, Matched: 1, Injected: 1,
	}}}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	from := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(from, text, 0o600); err != nil {
		t.Fatal(err)
	}
	head := func(report io.Reader) string {
		lines := bufio.NewScanner(report)
		for lines.Scan() && !strings.HasSuffix(lines.Text(), ": ok") { // which comes after the table
			if strings.HasPrefix(lines.Text(), "EXPERIMENT ") {
				return lines.Text()
			}
		}
		t.Errorf("no table: %v", lines.Err())
		return ""
	}
	whole := func(head string) bool {
		return strings.Contains(head, "  AT  ") && strings.HasSuffix(head, "  CAPPED  DRY RUN")
	}
	for columns, isWhole := range map[uint16]bool{0: true, 70: false, 80: false, 300: true} {
		commands := map[string]func(*os.File) error{
			"report": func(tty *os.File) error {
				var stderr bytes.Buffer
				if code := run(t.Context(), []string{"report", "--from", from}, tty, &stderr); code != 0 {
					return fmt.Errorf("exit code %d: %s", code, stderr.String())
				}
				return nil
			},
			"at the end": func(tty *os.File) error { return (&finalReport{print: tty}).write(r) },
		}
		for name, command := range commands {
			screen, tty := terminal(t, columns)
			err := command(tty)
			_ = tty.Close() // or reading might wait for more
			if err != nil {
				t.Fatal(err)
			}
			got := head(screen)
			if whole(got) != isWhole || columns > 0 && utf8.RuneCountInString(got) > int(columns) {
				t.Errorf("%s, %d columns: %q", name, columns, got)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "report.txt")
	_, tty := terminal(t, 80)
	if code := run(t.Context(), []string{"report", "--from", from, "-o", file}, tty, tty); code != 0 {
		t.Fatal(code)
	}
	if got, err := os.ReadFile(file); err != nil || !whole(head(bytes.NewReader(got))) {
		t.Errorf("in a file: %v\n%s", err, got)
	}
	var pipe bytes.Buffer
	if code := run(t.Context(), []string{"report", "--from", from}, &pipe, &pipe); code != 0 || !whole(head(&pipe)) {
		t.Errorf("in a pipe: exit code %d", code)
	}
}
