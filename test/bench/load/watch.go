package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/stream"
)

// Answer is an answer as a client saw it.
type Answer struct {
	At     time.Time // its last byte arrived, by the kernel's wall clock
	Status int
}

// Watch asks for a path of a host over n keep-alive connections, on each as soon as the last answer is there, until ctx ends. It
// returns all answers, in the order in which they arrived. stream.StartStamps comes first.
func Watch(ctx context.Context, n int, address, host, path string) ([]Answer, error) {
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host)
	seen, failures := make([][]Answer, n), make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			for ctx.Err() == nil && failures[i] == nil {
				failures[i] = watchOne(ctx, address, request, &seen[i])
			}
		})
	}
	group.Wait()
	all := slices.Concat(seen...)
	slices.SortStableFunc(all, func(a, b Answer) int { return a.At.Compare(b.At) })
	return all, errors.Join(failures...)
}

// watchOne uses one connection until ctx ends or the proxy does not go on with it.
func watchOne(ctx context.Context, address, request string, seen *[]Answer) error {
	conn, err := stream.Dial(context.WithoutCancel(ctx), address, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for ctx.Err() == nil {
		if _, err := io.WriteString(conn, request); err != nil {
			return err
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			return err
		}
		*seen = append(*seen, Answer{conn.At(), response.StatusCode})
		if response.Close {
			return nil
		}
	}
	return nil
}
