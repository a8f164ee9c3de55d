package toxiproxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chance"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// chain is the toxics of one target, in the order in which they were added; each direction has those of its own.
type chain struct {
	seed   uint64
	kind   string // of the target: "proxy" or "route"
	name   string // of the target
	engine *chaos.Engine
	// changed is told of every change, and of what has been removed. It must not block.
	changed func(toxics []*chaos.Manual, removed []*wrapper)
	away    time.Time // since when the Route is not there; zero while it is; guarded by Server.mu

	mu      sync.Mutex // guards what follows
	list    []*wrapper
	retired bool // nobody finds it any more, so it takes no toxics
}

// wrapper is a toxic with its name, as the API shows it. It is immutable once it is in a chain.
type wrapper struct {
	entry      *toxic.Entry
	typ        string
	attributes map[string]any
	manual     *chaos.Manual // of entry; nil before it is in force
}

// toxicJSON is a toxic on the wire.
type toxicJSON struct {
	Attributes map[string]any `json:"attributes"`
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Stream     string         `json:"stream"`
	Toxicity   float64        `json:"toxicity"`
}

func (w *wrapper) json() toxicJSON {
	return toxicJSON{w.attributes, w.entry.Name, w.typ, w.entry.Direction.String(), w.entry.Toxicity}
}

// toxicInput is a toxic as clients send it. What is absent stays as it was.
type toxicInput struct {
	Name       string          `json:"name"`
	Type       string          `json:"type"`
	Stream     string          `json:"stream"`
	Toxicity   float64         `json:"toxicity"`
	Attributes json.RawMessage `json:"attributes"`
}

// json returns the toxics, those of the upstream direction first.
func (c *chain) json() []toxicJSON {
	c.mu.Lock()
	defer c.mu.Unlock()
	result := []toxicJSON{}
	for _, d := range []proxy.Direction{proxy.Upstreamward, proxy.Downstreamward} {
		for _, w := range c.list {
			if w.entry.Direction == d {
				result = append(result, w.json())
			}
		}
	}
	return result
}

// toxics returns what is in force. The lock is held.
func (c *chain) toxics() []*chaos.Manual {
	all := make([]*chaos.Manual, len(c.list))
	for i, w := range c.list {
		all[i] = w.manual
	}
	return all
}

// find returns the index of a toxic, or -1. The lock is held.
func (c *chain) find(name string) int {
	return slices.IndexFunc(c.list, func(w *wrapper) bool { return w.entry.Name == name })
}

func (c *chain) get(name string) (toxicJSON, *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.find(name)
	if at < 0 {
		return toxicJSON{}, errToxicNotFound
	}
	return c.list[at].json(), nil
}

// add appends a toxic.
func (c *chain) add(body []byte) (toxicJSON, *Error) {
	in := toxicInput{Stream: "downstream", Toxicity: 1}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&in); err != nil {
		return toxicJSON{}, badBody(err)
	}
	direction, ok := directionOf(in.Stream)
	if !ok {
		return toxicJSON{}, errStream
	}
	if in.Name == "" {
		in.Name = in.Type + "_" + in.Stream
	}
	if strings.Contains(in.Name, "/") {
		return toxicJSON{}, badBody(fmt.Errorf("name: %q contains a slash, so it could never be addressed", in.Name))
	}
	if len(in.Name) > maxText {
		return toxicJSON{}, badBody(fmt.Errorf("name: longer than %d bytes", maxText))
	}
	if _, ok := toxic.Find(in.Type).(toxic.Stream); !ok {
		return toxicJSON{}, errToxicType
	}
	w, err := c.wrap(in, direction, nil)
	if err != nil {
		return toxicJSON{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.retired:
		return toxicJSON{}, errProxyNotFound
	case c.find(in.Name) >= 0:
		return toxicJSON{}, errToxicExists
	case len(c.list) >= maxToxics:
		return toxicJSON{}, badBody(fmt.Errorf("there are %d toxics here, no more can be added", maxToxics))
	}
	c.begin(w)
	c.list = append(c.list, w)
	c.changed(c.toxics(), nil)
	return w.json(), nil
}

// begin has a toxic reported from now on. The lock is held.
func (c *chain) begin(w *wrapper) {
	w.manual = c.engine.NewManual(chaos.ManualConfig{
		Owner: c.name, Entry: w.entry, Seed: c.seed, Attributes: clip(attributesText(w.attributes)),
	})
}

// wrap makes the immutable form of a toxic. old is what it takes the place of, or nil.
func (c *chain) wrap(in toxicInput, direction proxy.Direction, old *wrapper) (*wrapper, *Error) {
	if !(in.Toxicity >= 0 && in.Toxicity <= 1) {
		return nil, badBody(fmt.Errorf("toxicity: %v is not between 0 and 1", in.Toxicity))
	}
	var prev proxy.Toxic
	if old != nil {
		prev = old.entry.Toxic
	}
	if len(in.Attributes) == 0 {
		in.Attributes = json.RawMessage("{}")
	}
	t, err := toxic.Parse(in.Type, in.Attributes, prev)
	if err != nil {
		return nil, badBody(fmt.Errorf("attributes: %w", err))
	}
	e := &toxic.Entry{
		Name: in.Name, Direction: direction, Toxicity: in.Toxicity, Toxic: t,
		Key: chance.NewKey(c.seed, c.kind+" "+c.name, in.Name), Began: time.Now(),
	}
	switch sharer, ok := t.(toxic.Sharer); {
	case ok && old != nil && t == prev:
		e.Shared = old.entry.Shared
	case ok:
		e.Shared = sharer.NewShared()
	}
	return &wrapper{entry: e, typ: in.Type, attributes: toxic.Attributes(t)}, nil
}

// update changes attributes and toxicity of a toxic; everything else in the body is ignored.
func (c *chain) update(name string, body []byte) (toxicJSON, *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.find(name)
	if at < 0 {
		return toxicJSON{}, errToxicNotFound
	}
	old := c.list[at]
	in := toxicInput{Toxicity: old.entry.Toxicity}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&in); err != nil {
		return toxicJSON{}, badBody(err)
	}
	in.Name, in.Type = name, old.typ
	w, err := c.wrap(in, old.entry.Direction, old)
	if err != nil {
		return toxicJSON{}, err
	}
	if w.entry.Toxic == old.entry.Toxic && w.entry.Toxicity == old.entry.Toxicity {
		return old.json(), nil
	}
	c.begin(w)
	c.list[at] = w
	c.changed(c.toxics(), nil)
	old.manual.End()
	return w.json(), nil
}

// remove takes a toxic away.
func (c *chain) remove(name string) *Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.find(name)
	if at < 0 {
		return errToxicNotFound
	}
	removed := c.list[at]
	c.list = slices.Delete(c.list, at, at+1)
	c.changed(c.toxics(), []*wrapper{removed})
	removed.manual.End()
	return nil
}

// clear takes all toxics away, and returns how many there were.
func (c *chain) clear() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	removed := c.list
	c.list = nil
	if len(removed) > 0 {
		c.changed(nil, removed)
	}
	for _, w := range removed {
		w.manual.End()
	}
	return len(removed)
}

// close gives up the chain of a target that is gone, with the toxics in it, and tells nobody.
func (c *chain) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.list {
		w.manual.End()
	}
	c.list, c.retired = nil, true
}

// retire gives up a chain without toxics, for good, and reports whether it did.
func (c *chain) retire() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = len(c.list) == 0
	return c.retired
}

func directionOf(stream string) (proxy.Direction, bool) {
	switch strings.ToLower(stream) {
	case "downstream":
		return proxy.Downstreamward, true
	case "upstream":
		return proxy.Upstreamward, true
	default:
		return 0, false
	}
}
