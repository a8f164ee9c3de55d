package fault

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Abort answers in the place of the endpoint, which does not see the request, or ends the connection without an answer. Exactly
// one of Status, GRPCStatus and End is given.
//
// At Backend a status is the response of that attempt, and an End is an upstream failure, which is tried again as any other.
type Abort struct {
	// Status is that of an answer, 200 to 599 (RFC 9110 section 15).
	Status int
	// Header is the answer's fields. Without a Content-Type among them a Body is text/plain.
	Header Fields
	// Body is the answer's content as it is, at most 64 KiB. 204, 205 and 304 have none.
	Body string

	// GRPCStatus is that of a gRPC answer, 1 to 16 (gRPC, "Status codes and their use in gRPC"). It is sent as a response with
	// trailers only ("gRPC over HTTP2"): status 200, Content-Type application/grpc, and Grpc-Status and Grpc-Message in what is,
	// without content, both head and trailers. HTTP/1.1 clients see the two as header fields of an empty response.
	GRPCStatus int
	// GRPCMessage explains the GRPCStatus, at most 1 KiB; any text.
	GRPCMessage string

	// End closes or resets the connection instead. HTTP/2 and newer end the stream.
	End End
}

var _ Fault = Abort{}

const (
	maxAbortBody    = 64 << 10
	maxGRPCMessage  = 1 << 10
	lastGRPCStatus  = 16
	grpcContentType = "application/grpc"
)

// Type returns "abort".
func (Abort) Type() string { return "abort" }

// Validate implements Fault.
func (f Abort) Validate() error {
	given := 0
	for _, is := range [...]bool{f.Status != 0, f.GRPCStatus != 0, f.End != None} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return errors.New("status: exactly one of status, grpc_status and end is needed")
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status: %d is not within 200 and 599", f.Status)
	case f.GRPCStatus != 0 && (f.GRPCStatus < 1 || f.GRPCStatus > lastGRPCStatus):
		return fmt.Errorf("grpc_status: %d is not within 1 and %d", f.GRPCStatus, lastGRPCStatus)
	case f.End > RST:
		return fmt.Errorf("end: %d is none that there is", f.End)
	case f.Status == 0 && (f.Body != "" || f.Header != ""):
		return errors.New("body: body and headers need a status")
	case f.GRPCStatus == 0 && f.GRPCMessage != "":
		return errors.New("grpc_message: it needs a grpc_status")
	case len(f.Body) > maxAbortBody:
		return fmt.Errorf("body: %d bytes are more than %d", len(f.Body), maxAbortBody)
	case len(f.GRPCMessage) > maxGRPCMessage:
		return fmt.Errorf("grpc_message: %d bytes are more than %d", len(f.GRPCMessage), maxGRPCMessage)
	case f.Body != "" && (f.Status == 204 || f.Status == 205 || f.Status == 304):
		return fmt.Errorf("body: a response with status %d has none", f.Status)
	}
	return f.Header.validate("headers")
}

// New implements Fault.
func (f Abort) New(Site) Step {
	switch {
	case f.End != None:
		return Step{End: f.End}
	case f.GRPCStatus != 0:
		return Step{Reply: f.grpcReply()}
	}
	r := &Reply{Status: f.Status, Header: f.Header.list(), Body: f.Body}
	if f.Body != "" && !f.Header.has("Content-Type") {
		r.Header = append(r.Header, proxy.Field{Name: []byte("Content-Type"), Value: []byte("text/plain; charset=utf-8")})
	}
	return Step{Reply: r}
}

func (f Abort) grpcReply() *Reply {
	r := &Reply{Status: 200, Header: []proxy.Field{
		{Name: []byte("Content-Type"), Value: []byte(grpcContentType)},
		{Name: []byte("Grpc-Status"), Value: strconv.AppendInt(nil, int64(f.GRPCStatus), 10)},
	}}
	if f.GRPCMessage != "" {
		r.Header = append(r.Header, proxy.Field{Name: []byte("Grpc-Message"), Value: []byte(percentEncoded(f.GRPCMessage))})
	}
	return r
}

// percentEncoded writes a Grpc-Message: printable ASCII but "%" stays ("gRPC over HTTP2", Percent-Encoded).
func percentEncoded(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
