package proxy

// Filter is the configuration of one step that changes a request or a response. Values are printable and can be
// compared with reflect.DeepEqual; New makes the running form, once per Route and Snapshot. Implementations live in
// package filter, one file each.
type Filter interface {
	New() Step
}

// Step is the running form of a Filter. It is called by many goroutines at once.
type Step interface {
	// Request sees the request before a Backend is picked. If it returns a non-nil Answer the request goes no
	// further and the client gets that.
	Request(x *Exchange) *Answer
	// Response sees the response head before the client does; also the head of an Answer.
	Response(x *Exchange)
}

// Answer is a response of the proxy itself. It is immutable and may be shared.
type Answer struct {
	Status int
	Header []Field // besides Content-Type, Content-Length and Date
	Body   string  // plain text; "" is the status's reason phrase and a newline
}
