package proxy

// Handler serves Exchanges. It is called once per request, from the goroutine that owns the Exchange, by the protocol that
// read the request.
type Handler interface {
	Serve(x *Exchange, r Responder)
}

// Responder is the client's end of an Exchange. Each protocol has its own. It is used by the goroutine that owns the
// Exchange.
type Responder interface {
	// Inform sends an interim response (1xx, but not 101) at once. It does nothing where the client's protocol has none.
	Inform(status int, h *Header) error
	// Deliver sends the response head that x.Response describes and then body to its end; nil is no body. It is called
	// once. Status 101 turns the connection into a tunnel; body is then the upstream connection. The error tells which side
	// failed; by then the client cannot be answered any more.
	Deliver(x *Exchange, body Body) *Error
	// Abort ends the Exchange without an answer: the client has gone, or cannot be answered.
	Abort()
	// Reset is Abort, but as abrupt as the client's protocol can be: a TCP RST.
	Reset()
}
