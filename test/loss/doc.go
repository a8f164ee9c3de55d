// Package loss holds toxic.PacketLoss against real packet loss: the same client and server, once over a path between two
// network namespaces on which packets are dropped, outside both TCP stacks, and once over loopback through the toxic.
//
// It has tests only, for Linux with the right to make network namespaces and TUN devices; without it they are skipped and say
// so. They depend on the machine's speed, so they run only when asked for:
//
//	go test ./test/loss -matrix         the whole matrix: 12 cases, about 15 minutes
//	go test ./test/loss -quick          two cases, less than 40 s
//
// What needs no rights, and no speed, is tested in proxy/toxic.
package loss
