package toxic

import "github.com/breakwater-gateway/breakwater/proxy"

// definitions is the list of toxics.
func definitions() []definition {
	return []definition{
		define((*Latency).fields),
		define((*Bandwidth).fields),
		define((*SlowClose).fields),
		define((*Timeout).fields),
		define((*ResetPeer).fields),
		define((*Slicer).fields),
		define((*LimitData).fields),
		define((*Noop).fields),
		define((*Down).fields),
		define((*Stall).fields),
		define((*PacketLoss).fields),
		define((*Corrupt).fields),
		define((*Drop).fields),
		define((*Duplicate).fields),
		define((*Reorder).fields),
		define((*Delay).fields),
		define((*Rate).fields),
		define((*Truncate).fields),
	}
}

// Types returns the toxics there are, each in its zero value.
func Types() []proxy.Toxic {
	var all []proxy.Toxic
	for _, d := range definitions() {
		all = append(all, d.zero)
	}
	return all
}

// Find returns the toxic of a type in its zero value, nil if there is none.
func Find(typ string) proxy.Toxic {
	for _, t := range Types() {
		if t.Type() == typ {
			return t
		}
	}
	return nil
}
