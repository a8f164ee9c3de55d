// Command fasthttp is a peer of the bench: a fasthttp server in front of a fasthttp HostClient, doing the same job as
// every other peer. Bodies are held in memory as a whole, which is fasthttp's default and costs it the least CPU time.
package main

import (
	"encoding/binary"
	"encoding/hex"
	"flag"
	"log"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/valyala/fasthttp"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	backend := flag.String("backend", "", "address of the backend")
	flag.Parse()
	client := &fasthttp.HostClient{
		Addr:                          *backend,
		MaxConns:                      4096,
		MaxIdleConnDuration:           time.Hour,
		NoDefaultUserAgentHeader:      true,
		DisableHeaderNamesNormalizing: true,
		DisablePathNormalizing:        true,
	}
	server := &fasthttp.Server{
		Handler:               func(ctx *fasthttp.RequestCtx) { forward(ctx, client) },
		IdleTimeout:           time.Hour,
		NoDefaultServerHeader: true,
		NoDefaultDate:         true,
	}
	log.Fatal(server.ListenAndServe(*listen))
}

func forward(ctx *fasthttp.RequestCtx, client *fasthttp.HostClient) {
	header := &ctx.Request.Header
	header.Del("Connection")
	var buffer [48]byte
	ip, _ := netip.AddrFromSlice(ctx.RemoteIP())
	address := ip.Unmap().AppendTo(buffer[:0])
	if prior := header.Peek("X-Forwarded-For"); len(prior) > 0 {
		header.SetBytesV("X-Forwarded-For", append(append(append([]byte(nil), prior...), ", "...), address...))
	} else {
		header.SetBytesV("X-Forwarded-For", address)
	}
	header.SetBytesV("X-Real-IP", address)
	header.Set("X-Forwarded-Proto", "http")
	header.SetBytesV("X-Forwarded-Host", header.Host())
	var id [16]byte
	var text [32]byte
	binary.LittleEndian.PutUint64(id[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(id[8:], rand.Uint64())
	hex.Encode(text[:], id[:])
	header.SetBytesV("X-Request-Id", text[:])
	if err := client.Do(&ctx.Request, &ctx.Response); err != nil {
		ctx.Error("upstream error", fasthttp.StatusBadGateway)
		return
	}
	ctx.Response.Header.Del("Connection")
}
