package whoami

import (
	"net/http"
	"strconv"

	"github.com/coder/websocket"
)

// messageLimit bounds one WebSocket message, which is held in memory to echo it as one message of one frame.
const messageLimit = 16 << 20

// serveEcho sends each WebSocket message back with its type, to any origin, until the peer closes.
func (h *Handler) serveEcho(w http.ResponseWriter, r *http.Request) {
	// Any origin is welcome: the service has no state or credentials that another site could abuse.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(messageLimit)
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		h.print(describeMessage(message))
		if err := conn.Write(r.Context(), kind, message); err != nil {
			return
		}
	}
}

// describeMessage lists the bytes of a message in decimal, on one line.
func describeMessage(message []byte) []byte {
	line := append(make([]byte, 0, 16+4*len(message)), "Received b:"...)
	for _, b := range message {
		line = strconv.AppendUint(line, uint64(b), 10)
		line = append(line, ',')
	}
	return append(line, '\n')
}

// print writes one line to Options.Messages. Nobody can act on its failure.
func (h *Handler) print(line []byte) { _, _ = h.options.Messages.Write(line) }
