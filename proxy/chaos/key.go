package chaos

import (
	"bytes"
	"container/list"
	"hash/maphash"
	"net/netip"
	"sync"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// keyOf returns what a Key finds in a request; "" if it is not there.
func keyOf(k proxy.Key, r *proxy.Request) string {
	switch k.Type {
	case proxy.ClientIPKey:
		return clientKey(r.ClientIP)
	case proxy.HeaderKey:
		return string(r.Header.Get(k.Name))
	case proxy.CookieKey:
		return string(cookie(r, k.Name))
	}
	return ""
}

// streamKey is keyOf for a connection, which has nothing but an address.
func streamKey(k proxy.Key, client netip.Addr) string {
	if k.Type == proxy.ClientIPKey {
		return clientKey(client)
	}
	return ""
}

func clientKey(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().String()
}

// cookie returns the value of the first cookie of that name.
func cookie(r *proxy.Request, name string) (value []byte) {
	found := false
	for i := range r.Header.Fields {
		f := &r.Header.Fields[i]
		if !proxy.EqualFold(f.Name, "Cookie") {
			continue
		}
		eachPart(f.Value, ';', func(part []byte) {
			n, v, ok := bytes.Cut(bytes.TrimSpace(part), []byte{'='})
			if ok && !found && string(n) == name {
				value, found = v, true
			}
		})
	}
	return value
}

// maxSequences bounds the keys of one Experiment that are remembered. A client that has not been seen for longer than so many
// others begins its sequence anew.
const maxSequences = 10_000

// sequences counts, for each key, how many places of a Sequence have been taken. It keeps keys' digests, not what clients send.
// The zero value is ready.
type sequences struct {
	mu     sync.Mutex
	seeds  [2]maphash.Seed          // guarded by mu
	places map[digest]*list.Element // guarded by mu
	recent list.List                // guarded by mu; of *place, the latest in front
}

// digest tells keys apart: two hashes of 64 bits with seeds that nobody knows.
type digest [2]uint64

type place struct {
	key  digest
	next uint64
}

// reset has every key begin anew.
func (s *sequences) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.places)
	s.recent.Init()
}

// take returns the next place for a key, from 0.
func (s *sequences) take(key string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.places == nil {
		s.places, s.seeds = map[digest]*list.Element{}, [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	}
	d := digest{maphash.String(s.seeds[0], key), maphash.String(s.seeds[1], key)}
	if at := s.places[d]; at != nil {
		s.recent.MoveToFront(at)
		p := at.Value.(*place)
		p.next++
		return p.next - 1
	}
	s.places[d] = s.recent.PushFront(&place{d, 1})
	if s.recent.Len() > maxSequences {
		oldest := s.recent.Back()
		s.recent.Remove(oldest)
		delete(s.places, oldest.Value.(*place).key)
	}
	return 0
}
