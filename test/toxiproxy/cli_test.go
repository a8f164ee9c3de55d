package toxiproxy

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy/toxiproxy"
)

// commands is what a user types; each is run with both servers.
var commands = []string{
	"list",
	"create -l 127.0.0.1:0 -u UP db",
	"create -l 127.0.0.1:0 -u UP db",
	"list",
	"inspect db",
	"toxic add -t latency -a latency=100 -a jitter=5 db",
	"toxic add -t bandwidth -n slow -a rate=64 --upstream db",
	"toxic add -t timeout --tox 0.5 -a timeout=1000 --downstream db",
	"toxic add -t nothing db",
	"inspect db",
	"toxic update -n slow -a rate=128 db",
	"toxic update -n nobody -a rate=128 db",
	"inspect db",
	"toxic remove -n slow db",
	"toxic delete -n slow db",
	"toggle db",
	"list",
	"toggle db",
	"i db",
	"delete db",
	"delete db",
	"ls",
}

// The official command line prints the same, whichever server it talks to.
func TestOfficialCommandLine(t *testing.T) {
	us, them := ours(t, toxiproxy.Config{}), official(t)
	up := echo(t)
	for _, line := range commands {
		args := strings.Fields(strings.ReplaceAll(line, "UP", up))
		got, want := run(t, us, args), run(t, them, args)
		if got != want {
			t.Errorf("toxiproxy-cli %s\nours:\n%s\ntheirs:\n%s", line, got, want)
		}
	}
}

// run returns what the command line prints, and its exit status.
func run(t *testing.T, url string, args []string) string {
	t.Helper()
	out, err := exec.Command(tool(t, "cli"), append([]string{"--host", url}, args...)...).CombinedOutput()
	text := sortedWords(normal(string(out)))
	if err != nil {
		text += err.Error() + "\n"
	}
	return strings.ReplaceAll(text, url, "URL")
}

// sortedWords brings the attributes of a toxic, which the command line prints in random order, into one order.
func sortedWords(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if at := strings.Index(line, "attributes=["); at >= 0 {
			words := strings.Fields(strings.NewReplacer("[", " ", "]", " ").Replace(line[at:]))
			lines[i] = line[:at] + strings.Join(sorted(words), " ")
		}
	}
	return strings.Join(lines, "\n")
}
