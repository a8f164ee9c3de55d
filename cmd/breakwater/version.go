package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// version says which build this is, from what the Go tool stamps into a binary.
type version struct {
	module   string // "(devel)" if not built from a released module
	revision string
	modified bool
}

func readVersion() version {
	v := version{module: "(devel)"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.module = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.revision = s.Value
		case "vcs.modified":
			v.modified = s.Value == "true"
		}
	}
	return v
}

// String returns one fact per line.
func (v version) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "breakwater %s\n", v.module)
	if v.revision != "" {
		state := ""
		if v.modified {
			state = " (modified)"
		}
		fmt.Fprintf(&b, "commit     %s%s\n", v.revision, state)
	}
	fmt.Fprintf(&b, "go         %s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return b.String()
}
