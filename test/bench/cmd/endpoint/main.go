// Command endpoint is what the proxies of the stream measurements stand in front of: see package stream.
package main

import (
	"flag"
	"log"
	"net"

	"github.com/breakwater-gateway/breakwater/test/bench/stream"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err == nil {
		err = stream.Serve(listener)
	}
	if err != nil {
		log.Fatal(err)
	}
}
