package proxy

// Damage is an error that a Body returns to have its message end in a way that its protocol forbids: how faults act on what
// the client sees. The Responder realises it, each in its protocol, and makes sure that nothing can be taken for another
// message afterwards: the connection ends, or the stream where a connection carries several.
type Damage struct {
	// Side is Downstream if the gateway itself damages the message on its way to the client, who is the only one to see it, and
	// Upstream if the gateway is to see it as the Endpoint's misbehaviour: a response that could not be read to its end.
	Side Side
	Kind DamageKind
	// Reset ends the connection abruptly (TCP RST), once the client's host has what was sent before; otherwise it ends in an
	// orderly way (TCP FIN).
	Reset bool
	// Surplus is what a Kind of Overlong sends beyond the declared length.
	Surplus []byte
}

// DamageKind says how a message is damaged.
type DamageKind uint8

const (
	// CutOff ends the message before its end, without what would mark it.
	CutOff DamageKind = iota
	// Malformed goes on with what is no valid framing (RFC 9112 section 7.1: a chunk that begins with no size). Where a
	// message is not framed so it is reset.
	Malformed
	// Overlong sends more content than the message has declared.
	Overlong
	// Severed says that a fault has ended the client's connection. It is for who reads of it: no Body asks for it.
	Severed
)

var damages = [...]string{
	"response cut off by a fault", "response framing broken by a fault", "response made too long by a fault",
	"connection ended by a fault",
}

// Error says what has been done.
func (d *Damage) Error() string { return damages[d.Kind] }
