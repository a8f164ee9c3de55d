package proxy

import "io"

// Text is the Body of a response that the proxy writes itself. The zero Text is empty.
type Text struct {
	Rest string // what has not been read yet
}

var _ Body = (*Text)(nil)

// Read implements io.Reader.
func (t *Text) Read(p []byte) (int, error) {
	if t.Rest == "" {
		return 0, io.EOF
	}
	n := copy(p, t.Rest)
	t.Rest = t.Rest[n:]
	return n, nil
}

// Trailer returns nil: there are no trailer fields.
func (t *Text) Trailer() *Header { return nil }
