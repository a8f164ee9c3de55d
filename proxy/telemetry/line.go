package telemetry

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// maxValue is how many bytes of one value a client sent are logged; longer ones are cut. It keeps a line, and with it
// what may wait for the writer, in proportion.
const maxValue = 2048

// jsonLine writes one JSON object. Keys are always in the same order; those without a value are left out.
//
//	time              when the request head was complete, UTC
//	clientIP          the client as far as trusted proxies tell
//	method host path  as routed; query only if asked for
//	protocol          "HTTP/1.1"
//	status            0 if none was sent
//	requestBytes      of the body
//	responseBytes     of the body
//	duration          seconds from the end of the request head to the end of the response
//	upstreamDuration  seconds from the start of the latest attempt to the end of its response head
//	route             the object and rule that selected the request
//	backend endpoint  where the latest attempt went
//	attempts          at endpoints
//	experiments       whose faults have acted on the request, an array
//	error             why the proxy answered itself or cut the response
//	requestID userAgent referer
type jsonLine struct{ query bool }

func (j jsonLine) append(b []byte, x *proxy.Exchange, end time.Time) []byte {
	r := &x.Request
	b = append(b, `{"time":"`...)
	b = x.Start.UTC().Truncate(time.Microsecond).AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","clientIP":"`...)
	b = appendAddr(b, r.ClientIP)
	b = append(b, '"')
	b = appendText(b, "method", r.Method)
	host, path := x.Original()
	b = appendText(b, "host", host)
	b = appendText(b, "path", path)
	if j.query && r.HasQuery {
		b = appendText(b, "query", r.Query)
	}
	b = append(b, `,"protocol":"`...)
	b = appendProtocol(b, r)
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(x.Response.Status), 10)
	b = append(b, `,"requestBytes":`...)
	b = strconv.AppendInt(b, x.RequestBytes, 10)
	b = append(b, `,"responseBytes":`...)
	b = strconv.AppendInt(b, x.ResponseBytes, 10)
	b = append(b, `,"duration":`...)
	b = appendSeconds(b, end.Sub(x.Start))
	b = appendServed(b, x)
	b = appendExperiments(b, x.Experiments)
	if x.Failure != nil {
		b = appendText(b, "error", []byte(x.Failure.Error()))
	}
	b = appendText(b, "requestID", r.Header.Get("X-Request-Id"))
	b = appendText(b, "userAgent", r.Header.Get("User-Agent"))
	b = appendText(b, "referer", r.Header.Get("Referer"))
	return append(b, "}\n"...)
}

// appendServed appends by what the request was served.
func appendServed(b []byte, x *proxy.Exchange) []byte {
	if x.Route != nil {
		b = append(b, `,"route":"`...)
		b = appendRoute(b, x.Route.ID)
		b = append(b, '"')
	}
	if x.Backend != nil {
		b = append(b, `,"backend":"`...)
		b = appendBackend(b, x.Backend.Backend)
		b = append(b, '"')
	}
	if x.Attempts == 0 {
		return b
	}
	b = append(b, `,"endpoint":"`...)
	if x.Endpoint.Hostname == "" {
		b = x.Endpoint.Address.AppendTo(b)
	} else {
		b = appendJSON(b, x.Endpoint.Hostname)
		b = append(b, ':')
		b = strconv.AppendUint(b, uint64(x.Endpoint.Address.Port()), 10)
	}
	b = append(b, `","attempts":`...)
	b = strconv.AppendInt(b, int64(x.Attempts), 10)
	if x.UpstreamTime > 0 {
		b = append(b, `,"upstreamDuration":`...)
		b = appendSeconds(b, x.UpstreamTime)
	}
	return b
}

// clf writes the Common or the Combined Log Format. As in other servers, quotes, backslashes and every byte that is
// not printable ASCII are escaped, the last as \xHH.
type clf struct{ query, combined bool }

func (c clf) append(b []byte, x *proxy.Exchange, end time.Time) []byte {
	r := &x.Request
	b = appendAddr(b, r.ClientIP)
	b = append(b, " - - ["...)
	b = end.AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
	b = append(b, `] "`...)
	b = appendCLF(b, r.Method)
	b = append(b, ' ')
	_, path := x.Original()
	b = appendCLF(b, path)
	if c.query && r.HasQuery {
		b = append(b, '?')
		b = appendCLF(b, r.Query)
	}
	b = append(b, ' ')
	b = appendProtocol(b, r)
	b = append(b, `" `...)
	b = strconv.AppendInt(b, int64(x.Response.Status), 10)
	b = append(b, ' ')
	if x.ResponseBytes == 0 {
		b = append(b, '-')
	} else {
		b = strconv.AppendInt(b, x.ResponseBytes, 10)
	}
	if c.combined {
		b = appendCLFField(b, r.Header.Get("Referer"))
		b = appendCLFField(b, r.Header.Get("User-Agent"))
	}
	return append(b, '\n')
}

func appendCLFField(b, value []byte) []byte {
	if len(value) == 0 {
		return append(b, ` "-"`...)
	}
	b = append(b, ` "`...)
	b = appendCLF(b, value)
	return append(b, '"')
}

// appendProtocol appends the version the client speaks.
func appendProtocol(b []byte, r *proxy.Request) []byte {
	if r.Minor == 0 {
		return append(b, "HTTP/1.0"...)
	}
	return append(b, "HTTP/1.1"...)
}

func appendAddr(b []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return append(b, '-')
	}
	return a.WithZone("").AppendTo(b)
}

// appendSeconds appends d in seconds to the microsecond.
func appendSeconds(b []byte, d time.Duration) []byte {
	us := int64(max(d, 0).Round(time.Microsecond) / time.Microsecond)
	b = strconv.AppendInt(b, us/1e6, 10)
	b = append(b, '.')
	for unit := int64(1e5); unit > 0; unit /= 10 {
		b = append(b, '0'+byte(us/unit%10))
	}
	return b
}

// appendRoute appends what RouteID.String returns, without making the string.
func appendRoute(b []byte, id proxy.RouteID) []byte {
	b = appendObject(b, id.Object)
	b = append(b, '/')
	if id.Rule < 0 {
		return append(b, "default"...)
	}
	return strconv.AppendInt(b, int64(id.Rule), 10)
}

// appendObject appends what ObjectID.String returns, without making the string.
func appendObject(b []byte, id proxy.ObjectID) []byte {
	b = appendJSON(b, id.Kind)
	b = append(b, '/')
	b = appendJSON(b, id.Namespace)
	b = append(b, '/')
	return appendJSON(b, id.Name)
}

// appendExperiments appends the key "experiments", unless there are none.
func appendExperiments(b []byte, ids []proxy.ObjectID) []byte {
	if len(ids) == 0 {
		return b
	}
	b = append(b, `,"experiments":[`...)
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = appendObject(b, id)
		b = append(b, '"')
	}
	return append(b, ']')
}

// appendBackend appends what BackendID.String returns, without making the string.
func appendBackend(b []byte, id proxy.BackendID) []byte {
	b = appendJSON(b, id.Namespace)
	b = append(b, '/')
	b = appendJSON(b, id.Name)
	b = append(b, ':')
	return strconv.AppendInt(b, int64(id.Port), 10)
}
