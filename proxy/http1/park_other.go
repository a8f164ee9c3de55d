//go:build !linux

package http1

// canPark: only Linux has epoll; elsewhere connections keep their goroutines while they wait.
const canPark = false

type lot struct{}

func (*lot) park(*serverConn) bool { return false }
func (*lot) take(*serverConn) bool { return false }
func (*lot) close()                {}
