// Command relay passes streams on and does nothing else: see stream.Relay.
package main

import (
	"flag"
	"log"
	"net"

	"github.com/breakwater-gateway/breakwater/test/bench/stream"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	backend := flag.String("backend", "", "address to pass streams on to")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err == nil {
		err = stream.Relay(listener, *backend)
	}
	if err != nil {
		log.Fatal(err)
	}
}
