package demo

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
)

// maxLine is the longest line that the database takes, in bytes.
const maxLine = 4096

// serveDatabase is the demo's TCP backend: it sends back every line with its own name in front. It closes ln, and returns when all
// connections have ended, which is at once when ctx is done.
func serveDatabase(ctx context.Context, ln net.Listener, name string) {
	var open sync.WaitGroup
	defer open.Wait()
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	for {
		nc, err := ln.Accept()
		if err != nil {
			_ = ln.Close()
			return
		}
		open.Go(func() {
			defer nc.Close()
			defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
			lines := bufio.NewScanner(nc)
			lines.Buffer(nil, maxLine)
			for lines.Scan() {
				if _, err := fmt.Fprintf(nc, "%s: %s\n", name, lines.Text()); err != nil {
					return
				}
			}
		})
	}
}
