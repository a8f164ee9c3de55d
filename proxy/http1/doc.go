// Package http1 is the HTTP/1.1 engine of the data plane: the codec (RFC 9112) and the connection loops of both sides.
//
// It reads requests from clients (Server), sends them to endpoints (Conn) and carries bodies and tunnels between the two.
// It knows nothing of routes: a Handler decides what happens to an Exchange.
//
// # How it works
//
// One goroutine owns a downstream connection. It reads the request head into a pooled buffer, parses it in place,
// calls the Handler, which sends the request on an upstream connection and reads the response head, and writes the
// response. There is no goroutine per upstream connection. A second goroutine exists only while a request body that
// has not arrived yet is passed on (pump.go), so that an early response is seen. A connection that waits for its next
// request holds no buffer. Long bodies move by splice(2) where both sides are TCP.
//
// Timeouts are coarse and cost two atomic operations: each blocking phase notes its deadline in a slot, and one
// goroutine (Watch) looks at all slots a few times per second and interrupts what is overdue, or what waits for an
// endpoint although the client has left.
//
// # Faults
//
// A Body may ask for its message to be damaged (proxy.Damage; damage.go): the connection always ends then. A request can be
// held up (Pause; pause.go). A client's connection can get a wrapper, such as one with toxics, from any request on (Wrap;
// wrap.go); it comes off between two requests, as soon as it holds nothing, and the connection is a bare one again.
//
// # Strictness
//
// What RFC 9112 lets a recipient repair, this engine refuses, with an explicit 4xx or 5xx and a closed connection:
// a message that two parsers could understand differently is never forwarded. What passes is written anew from its
// parsed form. The one thing let pass is an empty line before a request. See parse.go and target.go for the list, and
// TestStricterThanNetHTTP for what net/http takes and this engine does not.
package http1
