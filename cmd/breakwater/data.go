package main

import (
	"cmp"
	"errors"
	"log/slog"
	"net/netip"
	"syscall"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/accept"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
	"github.com/breakwater-gateway/breakwater/proxy/server"
	"github.com/breakwater-gateway/breakwater/proxy/stream"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
	"github.com/spf13/pflag"
)

// dataOptions are the flags of the data plane: package server and what it is made of.
type dataOptions struct {
	bindAddress    string
	trustedProxies []string
	forwarded      bool
	maxConnections int
	attempts       int
	limits         http1.Limits
	timeouts       http1.Timeouts
	upstream       upstream.Config
	stream         stream.Config
	headerTimeout  time.Duration
	toxicBuffer    int
	toxicMemory    int64
}

func (o *dataOptions) groups() []group {
	return []group{
		newGroup("Data plane", o.addServer),
		newGroup("Limits", o.addLimits),
		newGroup("Timeouts of requests (more than 0, kept to a quarter of a second; a negative one is none)", o.addTimeouts),
		newGroup("Timeouts of connections and sessions (more than 0)", o.addConnectionTimeouts),
	}
}

func (o *dataOptions) addServer(f *pflag.FlagSet) {
	f.StringVar(&o.bindAddress, "bind-address", "", "address whose ports are bound (default every address of the host)")
	f.StringSliceVar(&o.trustedProxies, "trusted-proxies", nil,
		"networks of proxies in front whose X-Forwarded-For tells the client's address, and whose X-Forwarded-* fields are passed on, e.g. 10.0.0.0/8 (default none)")
	f.BoolVar(&o.forwarded, "forwarded", false, "also send the Forwarded field (RFC 7239) to endpoints")
	f.IntVar(&o.attempts, "attempts", 3, "how often one request is tried on endpoints; only what none can have acted on is tried again")
}

func (o *dataOptions) addLimits(f *pflag.FlagSet) {
	f.IntVar(&o.maxConnections, "max-connections", 50_000, "client connections on all ports together, of which at most half on proxies made through the API for Toxiproxy's clients; more are closed at once")
	f.IntVar(&o.limits.RequestLine, "max-request-line", 8<<10, "bytes of a request line; more is answered with 414")
	f.IntVar(&o.limits.HeaderBytes, "max-header-bytes", 64<<10, "bytes of a request head, at most 65536; more is answered with 431")
	f.IntVar(&o.limits.HeaderCount, "max-header-count", 100, "header fields of a request; more is answered with 431")
	f.BoolVar(&o.limits.AllowUnderscores, "allow-underscores", false, "accept \"_\" in the names of header fields")
	f.IntVar(&o.stream.MaxSessions, "max-udp-sessions", 16_384, "UDP sessions on all ports together; datagrams that would begin more are dropped")
	f.IntVar(&o.toxicBuffer, "toxic-buffer", toxic.DefaultBuffer, "bytes that toxics hold back in one direction of a connection; a full one makes the sender wait")
	f.Int64Var(&o.toxicMemory, "toxic-memory", 0, "bytes that toxics hold back in all (default a quarter of the memory limit, or 512 MiB without one)")
	f.IntVar(&o.upstream.MaxIdle, "max-idle-connections", 1024, "unused connections kept per endpoint")
}

func (o *dataOptions) addTimeouts(f *pflag.FlagSet) {
	t := &o.timeouts
	f.DurationVar(&t.Header, "header-timeout", 10*time.Second, "for a client to send a request head: 408")
	f.DurationVar(&t.Idle, "idle-timeout", 75*time.Second, "for a client's connection between requests")
	f.DurationVar(&t.Body, "body-timeout", time.Minute, "without progress in a request body: 408")
	f.DurationVar(&t.Write, "write-timeout", time.Minute, "without progress in sending to a client")
	f.DurationVar(&t.UpstreamHeader, "upstream-header-timeout", time.Minute, "for an endpoint to begin its response: 504")
	f.DurationVar(&t.UpstreamBody, "upstream-body-timeout", time.Minute, "without progress in a response body")
	f.DurationVar(&t.UpstreamWrite, "upstream-write-timeout", time.Minute, "without progress in sending to an endpoint: 504")
	f.DurationVar(&t.Tunnel, "tunnel-timeout", time.Hour, "without bytes in either direction of an upgraded connection")
}

func (o *dataOptions) addConnectionTimeouts(f *pflag.FlagSet) {
	f.DurationVar(&o.upstream.DialTimeout, "upstream-dial-timeout", 5*time.Second, "for connecting to an endpoint")
	f.DurationVar(&o.upstream.IdleTimeout, "upstream-idle-timeout", time.Minute, "for an unused connection to an endpoint")
	f.DurationVar(&o.stream.Idle, "stream-idle-timeout", time.Hour, "without bytes in either direction of a TCP connection")
	f.DurationVar(&o.stream.SessionIdle, "udp-session-timeout", time.Minute, "without a datagram in either direction of a UDP session, nor one that toxics hold back")
	f.DurationVar(&o.headerTimeout, "proxy-header-timeout", 10*time.Second, "for a PROXY protocol header where one is expected")
}

// config returns the configuration of the server.
func (o *dataOptions) config(metrics *telemetry.Metrics, accessLog *telemetry.AccessLog, log *slog.Logger) (server.Config, error) {
	c := server.Config{
		Connections:   accept.NewBound(o.maxConnections),
		Attempts:      o.attempts,
		Limits:        o.limits,
		Timeouts:      o.timeouts,
		Upstream:      o.upstream,
		Stream:        o.stream,
		HeaderTimeout: o.headerTimeout,
		Forwarded:     server.Forwarded{Standard: o.forwarded},
		Metrics:       metrics,
		AccessLog:     accessLog,
		Log:           log,
	}
	if o.bindAddress != "" {
		a, err := netip.ParseAddr(o.bindAddress)
		if err != nil {
			return c, wrong("--bind-address %q: want an IP address", o.bindAddress)
		}
		c.BindAddress = a
	}
	for _, s := range o.trustedProxies {
		p, err := parsePrefix(s)
		if err != nil {
			return c, wrong("--trusted-proxies %q: want an IP address or a network like 10.0.0.0/8", s)
		}
		c.Forwarded.TrustedProxies = append(c.Forwarded.TrustedProxies, p)
	}
	if err := errors.Join(o.validateLimits(), o.validateTimeouts()); err != nil {
		return c, err
	}
	c.Toxics = toxic.Options{Buffer: o.toxicBuffer, Budget: toxic.NewBudget(cmp.Or(o.toxicMemory, toxicMemory()))}
	return c, nil
}

// spareDescriptors are what proxies made through the API for Toxiproxy's clients leave to everything else.
const spareDescriptors = 128

// proxyConnections is how many of the connections may be of those proxies: a client can make them lead in a circle, where one connection
// becomes as many as there can be. Half are left for routes, and descriptors, of which each connection takes two.
func (o *dataOptions) proxyConnections() int {
	most := o.maxConnections / 2
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil {
		most = int(min(uint64(most), (max(files.Cur, spareDescriptors)-spareDescriptors)/2))
	}
	return max(most, 1)
}

// validateLimits reports the first limit out of its range.
func (o *dataOptions) validateLimits() error {
	for _, n := range []flagValue[int]{
		{"max-connections", o.maxConnections}, {"attempts", o.attempts}, {"max-header-count", o.limits.HeaderCount},
		{"max-idle-connections", o.upstream.MaxIdle}, {"max-udp-sessions", o.stream.MaxSessions}, {"toxic-buffer", o.toxicBuffer},
	} {
		if n.value <= 0 {
			return wrong("--%s %d: want 1 or more", n.flag, n.value)
		}
	}
	for _, n := range []flagValue[int]{{"max-request-line", o.limits.RequestLine}, {"max-header-bytes", o.limits.HeaderBytes}} {
		if n.value <= 0 || n.value > http1.MaxHeaderBytes {
			return wrong("--%s %d: want 1 to %d", n.flag, n.value, http1.MaxHeaderBytes)
		}
	}
	if o.toxicMemory < 0 {
		return wrong("--toxic-memory %d: want 0 or more", o.toxicMemory)
	}
	return nil
}

// validateTimeouts reports the first timeout that means nothing. 0 does not: some would read it as none, some as the default.
func (o *dataOptions) validateTimeouts() error {
	t := &o.timeouts
	for _, d := range []flagValue[time.Duration]{
		{"header-timeout", t.Header}, {"idle-timeout", t.Idle}, {"body-timeout", t.Body}, {"write-timeout", t.Write},
		{"upstream-header-timeout", t.UpstreamHeader}, {"upstream-body-timeout", t.UpstreamBody},
		{"upstream-write-timeout", t.UpstreamWrite}, {"tunnel-timeout", t.Tunnel},
	} {
		if d.value == 0 {
			return wrong("--%s 0s: want more than 0, or less for none", d.flag)
		}
	}
	for _, d := range []flagValue[time.Duration]{
		{"upstream-dial-timeout", o.upstream.DialTimeout}, {"upstream-idle-timeout", o.upstream.IdleTimeout},
		{"stream-idle-timeout", o.stream.Idle}, {"udp-session-timeout", o.stream.SessionIdle}, {"proxy-header-timeout", o.headerTimeout},
	} {
		if d.value <= 0 {
			return wrong("--%s %v: want more than 0", d.flag, d.value)
		}
	}
	return nil
}

// parsePrefix parses a network, or an address as the network of it alone.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

// accessLogOptions are the flags of the access log.
type accessLogOptions struct {
	format string
	query  bool
}

func (o *accessLogOptions) add(f *pflag.FlagSet) {
	f.StringVar(&o.format, "access-log", "off", "off, or a line for each request on standard output: json, common or combined")
	f.BoolVar(&o.query, "access-log-query", false, "include queries, which often carry what should not be in a log")
}

// options returns what the access log writes, and whether it is on.
func (o *accessLogOptions) options() (telemetry.LogOptions, bool, error) {
	if o.format == "off" && o.query {
		return telemetry.LogOptions{}, false, wrong("--access-log-query needs --access-log")
	}
	if o.format == "off" {
		return telemetry.LogOptions{}, false, nil
	}
	f, err := telemetry.ParseFormat(o.format)
	if err != nil {
		return telemetry.LogOptions{}, false, wrong("--access-log %q: want off, json, common or combined", o.format)
	}
	return telemetry.LogOptions{Format: f, Query: o.query}, true, nil
}
