package demo

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Guide is what a user is told about a running demo.
type Guide struct {
	Program     string // how breakwater was called; "" is by its name
	Dir         string
	IngressPort uint16
	GatewayPort uint16
	DBPort      uint16 // of the TCP listener
	Admin       string // host:port
	Toxiproxy   string // host:port of the API for Toxiproxy's clients
	Notes       []string
	Color       bool
}

// step is one command to try and what to see.
type step struct{ command, comment string }

// Write writes the guide for a terminal. Commands work in every shell: they have no single quotes, and curl and browsers
// take names below localhost for this machine (RFC 6761 section 6.3).
func (g Guide) Write(w io.Writer) error {
	hello := fmt.Sprintf("hello.localhost:%d", g.IngressPort)
	shop := fmt.Sprintf("shop.localhost:%d", g.GatewayPort)
	p := page{color: g.Color}
	p.line("")
	p.line("%s is running. Ctrl-C ends it.", p.bold("Breakwater demo"))
	p.line("")
	p.row("Ingress", "http://"+hello)
	p.row("Gateway", "http://"+shop)
	p.row("TCP", fmt.Sprintf("localhost:%d", g.DBPort))
	p.row("Admin", "http://"+g.Admin)
	p.row("Toxiproxy", "http://"+g.Toxiproxy)
	p.row("Manifests", g.Dir)
	for _, note := range g.Notes {
		p.row("Note", note)
	}
	p.steps("Try", []step{
		{"curl " + hello, "two replicas take turns"},
		{"curl " + shop, "v1 nine times in ten"},
		{`curl -H "x-canary: yes" ` + shop, "a header match: v2"},
		{"curl -i " + shop + "/basket", "a redirect"},
		{"curl -i " + hello + "/closed", "no endpoints: 503"},
		{fmt.Sprintf("curl -i nobody.localhost:%d", g.IngressPort), "no such host: 404"},
	})
	p.steps("Break it", []step{
		{"curl -i " + shop, "again and again: some are slow, some get 503"},
		{fmt.Sprintf("nc localhost %d", g.DBPort), "type lines: each comes back after 0.4 s"},
		{cmp.Or(g.Program, "breakwater") + " report" + g.adminFlag(), "what was injected, what clients saw"},
	})
	p.line("  The faults are in 40-chaos.yaml: save another percent, it acts at once.")
	p.steps("With the tools of Toxiproxy", append(g.toxiproxyURL(),
		step{"toxiproxy-cli list", ""},
		step{"toxiproxy-cli toxic add -t latency -a latency=2000 demo.db", "2 s later"},
		step{"toxiproxy-cli toxic remove -n latency_downstream demo.db", ""},
	))
	p.line("  go install github.com/Shopify/toxiproxy/v2/cmd/cli@v2.12.0 makes it, as cli.")
	p.steps("Look inside", []step{
		{fmt.Sprintf(`curl "%s/explain?url=%s"`, g.Admin, shop), "which rule and why"},
		{fmt.Sprintf("curl %s/snapshot", g.Admin), "what is served now"},
		{fmt.Sprintf("curl %s/metrics", g.Admin), "for Prometheus"},
	})
	p.line("")
	p.line("%s", p.bold("Change it"))
	p.line("  Edit and save a file of the manifests: the weights in 20-shop.yaml, a host,")
	p.line("  a path. It is live at once. A mistake is reported here: routes stay as they")
	p.line("  were, and a fault that cannot be read ends until it is mended.")
	p.line("")
	if _, err := io.WriteString(w, p.text.String()); err != nil {
		return fmt.Errorf("print the guide: %w", err)
	}
	return nil
}

// adminFlag is what commands need that talk to the admin endpoint, if it is not at its usual address.
func (g Guide) adminFlag() string {
	if g.Admin == "127.0.0.1:9901" {
		return ""
	}
	return " --admin-address " + g.Admin
}

// toxiproxyURL is the same for the command line of Toxiproxy.
func (g Guide) toxiproxyURL() []step {
	if g.Toxiproxy == "127.0.0.1:8474" {
		return nil
	}
	return []step{{"export TOXIPROXY_URL=http://" + g.Toxiproxy, ""}}
}

// page collects lines.
type page struct {
	text  strings.Builder
	color bool
}

func (p *page) line(format string, args ...any) {
	fmt.Fprintf(&p.text, "  "+format, args...)
	p.text.WriteByte('\n')
}

func (p *page) row(name, value string) { p.line("%s%s", p.dim(fmt.Sprintf("%-11s", name)), value) }

// steps writes commands with their comments in one column.
func (p *page) steps(title string, steps []step) {
	width := 0
	for _, s := range steps {
		if s.comment == "" {
			continue
		}
		width = max(width, utf8.RuneCountInString(s.command))
	}
	p.line("")
	p.line("%s", p.bold(title))
	for _, s := range steps {
		if s.comment == "" {
			p.line("  %s", s.command)
			continue
		}
		p.line("  %-*s  %s", width, s.command, p.dim("# "+s.comment))
	}
}

func (p *page) bold(s string) string { return p.style("1", s) }
func (p *page) dim(s string) string  { return p.style("2", s) }

func (p *page) style(code, s string) string {
	if !p.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
