package telemetry

import (
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// StreamID names a rule of a TCPRoute or UDPRoute.
type StreamID struct {
	Object proxy.ObjectID
	Rule   int
}

// String returns the object and the rule, as RouteID does.
func (id StreamID) String() string { return proxy.RouteID{Object: id.Object, Rule: id.Rule}.String() }

// StreamEnd is how a connection or session ended.
type StreamEnd uint8

const (
	// StreamDone: both directions came to their ends, or a session fell idle.
	StreamDone StreamEnd = iota
	// StreamReset: client or Endpoint reset the connection.
	StreamReset
	// StreamIdle: nothing moved for too long.
	StreamIdle
	// StreamFault: a Toxic ended it.
	StreamFault
	// StreamUnreachable: no Endpoint could be reached.
	StreamUnreachable
	// StreamRefused: the route is not valid, has no Backend, or the Backend has no Endpoint.
	StreamRefused
	// StreamCanceled: the client left before an Endpoint was reached.
	StreamCanceled
	// StreamCut: the proxy shut down.
	StreamCut
)

// streamEnds are the values of the label "end", indexed by StreamEnd.
var streamEnds = [...]string{"done", "reset", "idle", "fault", "unreachable", "refused", "canceled", "cut"}

// String returns the label value.
func (e StreamEnd) String() string { return streamEnds[e] }

// Drop is why a datagram was not passed on.
type Drop uint8

const (
	// DropNoEndpoint: nobody serves the session.
	DropNoEndpoint Drop = iota
	// DropSessions: the bound on the number of sessions is reached.
	DropSessions
	// DropQueue: the queue of a session, or of the kernel, is full.
	DropQueue
)

// drops are the values of the label "reason", indexed by Drop.
var drops = [...]string{"no_endpoint", "sessions", "queue"}

// Stream counts the connections or sessions of one rule of a TCPRoute or UDPRoute. Bytes are counted as they move.
type Stream struct {
	label string
	open  atomic.Int64
	ends  [len(streamEnds)]atomic.Uint64
	drops [len(drops)]atomic.Uint64

	// Up counts the bytes that clients sent, Down those that they were sent.
	Up, Down atomic.Uint64
	// UpDatagrams and DownDatagrams count datagrams.
	UpDatagrams, DownDatagrams atomic.Uint64
}

// Open records a connection or session. Every Open is followed by exactly one End.
func (s *Stream) Open() { s.open.Add(1) }

// End records how it ended.
func (s *Stream) End(e StreamEnd) {
	s.open.Add(-1)
	s.ends[e].Add(1)
}

// Drop records a datagram that was not passed on.
func (s *Stream) Drop(d Drop) { s.drops[d].Add(1) }

// Stream returns the handle for a rule, a new one if need be.
func (m *Metrics) Stream(id StreamID) *Stream {
	return m.streams.get(id, func() *Stream { return &Stream{label: label(id.String())} })
}

// streamDescs describe the series of all Streams.
type streamDescs struct{ open, ends, bytes, datagrams, drops *prometheus.Desc }

func newStreamDescs() streamDescs {
	return streamDescs{
		open:      desc("streams_open", "TCP connections and UDP sessions now open, by route.", "route"),
		ends:      desc("streams_total", "TCP connections and UDP sessions that have ended, by route and how.", "route", "end"),
		bytes:     desc("stream_bytes_total", "Bytes of TCP connections and UDP sessions passed on, by route and direction.", "route", "direction"),
		datagrams: desc("stream_datagrams_total", "Datagrams passed on, by route and direction.", "route", "direction"),
		drops:     desc("stream_datagrams_dropped_total", "Datagrams of clients that were not passed on, by route and reason.", "route", "reason"),
	}
}

func (d *streamDescs) describe(ch chan<- *prometheus.Desc) {
	for _, one := range []*prometheus.Desc{d.open, d.ends, d.bytes, d.datagrams, d.drops} {
		ch <- one
	}
}

func (s *Stream) collect(ch chan<- prometheus.Metric, d *streamDescs) {
	up, down := proxy.Upstreamward.String(), proxy.Downstreamward.String()
	ch <- gauge(d.open, float64(s.open.Load()), s.label)
	ch <- counter(d.bytes, float64(s.Up.Load()), s.label, up)
	ch <- counter(d.bytes, float64(s.Down.Load()), s.label, down)
	if n, m := s.UpDatagrams.Load(), s.DownDatagrams.Load(); n+m != 0 {
		ch <- counter(d.datagrams, float64(n), s.label, up)
		ch <- counter(d.datagrams, float64(m), s.label, down)
	}
	for e := range s.ends {
		if n := s.ends[e].Load(); n != 0 {
			ch <- counter(d.ends, float64(n), s.label, streamEnds[e])
		}
	}
	for i := range s.drops {
		if n := s.drops[i].Load(); n != 0 {
			ch <- counter(d.drops, float64(n), s.label, drops[i])
		}
	}
}

// StreamEntry is what the access log tells of one TCP connection or UDP session.
type StreamEntry struct {
	Start, End time.Time
	Protocol   proxy.Protocol
	Client     netip.AddrPort
	Listener   proxy.ListenerID
	Route      StreamID        // zero if there was none
	Backend    proxy.BackendID // zero if none was picked
	Endpoint   proxy.Endpoint  // of the latest attempt
	Attempts   int             // at endpoints
	Up, Down   int64           // bytes passed on
	Outcome    StreamEnd
	Err        error // nil if there is nothing to say
	// Experiments are those whose faults have acted on it.
	Experiments []proxy.ObjectID
}

// AddExperiments adds those of ids that are not there yet.
func (e *StreamEntry) AddExperiments(ids []proxy.ObjectID) {
	for _, id := range ids {
		if !slices.Contains(e.Experiments, id) {
			e.Experiments = append(e.Experiments, id)
		}
	}
}

// LogStream records e, if the format is JSON: the formats of the NCSA server have no place for it. It copies what it needs and
// does not block.
func (l *AccessLog) LogStream(e *StreamEntry) {
	if !l.json {
		return
	}
	line := l.lines.Get().(*[]byte)
	*line = appendStream((*line)[:0], e)
	first := l.add(*line)
	l.lines.Put(line)
	if first {
		l.signal()
	}
}

// appendStream writes one JSON object. Its keys are those of a request where they mean the same, and:
//
//	clientPort
//	protocol          "tcp" or "udp"
//	requestBytes      sent by the client, responseBytes by the endpoint, as far as they were passed on
//	duration          seconds from the beginning to the end
//	listener          where it arrived
//	end               how it ended
func appendStream(b []byte, e *StreamEntry) []byte {
	b = append(b, `{"time":"`...)
	b = e.Start.UTC().Truncate(time.Microsecond).AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","clientIP":"`...)
	b = appendAddr(b, e.Client.Addr())
	b = append(b, `","clientPort":`...)
	b = strconv.AppendUint(b, uint64(e.Client.Port()), 10)
	b = append(b, `,"protocol":"`...)
	b = append(b, e.Protocol...)
	b = append(b, `","requestBytes":`...)
	b = strconv.AppendInt(b, e.Up, 10)
	b = append(b, `,"responseBytes":`...)
	b = strconv.AppendInt(b, e.Down, 10)
	b = append(b, `,"duration":`...)
	b = appendSeconds(b, e.End.Sub(e.Start))
	b = appendText(b, "listener", []byte(e.Listener.String()))
	if e.Route != (StreamID{}) {
		b = appendText(b, "route", []byte(e.Route.String()))
	}
	if e.Backend != (proxy.BackendID{}) {
		b = appendText(b, "backend", []byte(e.Backend.String()))
	}
	if e.Attempts > 0 {
		b = appendText(b, "endpoint", []byte(e.Endpoint.String()))
		b = append(b, `,"attempts":`...)
		b = strconv.AppendInt(b, int64(e.Attempts), 10)
	}
	b = appendText(b, "end", []byte(e.Outcome.String()))
	b = appendExperiments(b, e.Experiments)
	if e.Err != nil {
		b = appendText(b, "error", []byte(e.Err.Error()))
	}
	return append(b, "}\n"...)
}
