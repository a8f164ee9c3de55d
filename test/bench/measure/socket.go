package measure

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// Connections is the number of established TCP connections that the process pid and its descendants have to an IPv4 address.
func Connections(pid int, to netip.AddrPort) (int, error) {
	family, err := Family(pid)
	if err != nil {
		return 0, err
	}
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	if err != nil {
		return 0, fmt.Errorf("count connections: %w", err)
	}
	wanted := socketsTo(string(table), to)
	found := map[string]bool{} // once each: workers inherit descriptors
	for id := range family {
		descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", id))
		if err != nil {
			return 0, err
		}
		for _, path := range descriptors {
			if name, err := os.Readlink(path); err == nil && wanted[name] { // one that has been closed meanwhile does not count
				found[name] = true
			}
		}
	}
	return len(found), nil
}

// socketsTo reads the lines of /proc/PID/net/tcp (proc_pid_net(5)) and returns the established connections to an address, by what
// /proc/PID/fd calls them.
func socketsTo(table string, to netip.AddrPort) map[string]bool {
	const remote, state, inode, established = 2, 3, 9, "01"
	ip := to.Addr().As4()
	address := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), to.Port())
	sockets := map[string]bool{}
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) > inode && fields[remote] == address && fields[state] == established {
			sockets["socket:["+fields[inode]+"]"] = true
		}
	}
	return sockets
}
