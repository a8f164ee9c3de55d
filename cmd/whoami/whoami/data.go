package whoami

import (
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// pattern fills the body of /data between its first and its last byte.
const pattern = "-ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// serveData answers a body of a known pattern: size units long, "|" at both ends.
func serveData(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	content := &content{size: dataSize(query.Get("size"), query.Get("unit"))}
	if attachment, err := strconv.ParseBool(query.Get("attachment")); err == nil && attachment {
		w.Header().Set("Content-Disposition", "Attachment")
		http.ServeContent(w, r, "data.txt", time.Time{}, content)
		return
	}
	_, _ = io.Copy(w, content) // a failed write means that the client has gone
}

// dataSize returns the bytes asked for: 1 if size is no int64, 0 if negative, the largest int64 if too large. Sizes 0
// and 1 stand for an empty body.
func dataSize(size, unit string) int64 {
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		n = 1
	}
	factor := int64(1)
	switch strings.ToLower(unit) {
	case "kb":
		factor = 1 << 10
	case "mb":
		factor = 1 << 20
	case "gb":
		factor = 1 << 30
	case "tb":
		factor = 1 << 40
	}
	switch {
	case n <= 0 || n == 1 && factor == 1:
		return 0
	case n > math.MaxInt64/factor:
		return math.MaxInt64
	}
	return n * factor
}

// content reads the pattern without holding it in memory.
type content struct {
	size     int64
	position int64
}

var _ io.ReadSeeker = (*content)(nil)

// Read fills p from the present position.
func (c *content) Read(p []byte) (int, error) {
	if c.position >= c.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), c.size-c.position))
	for i := range p[:n] {
		p[i] = c.at(c.position + int64(i))
	}
	c.position += int64(n)
	return n, nil
}

func (c *content) at(position int64) byte {
	if position == 0 || position == c.size-1 {
		return '|'
	}
	return pattern[position%int64(len(pattern))]
}

// Seek moves the present position; a position before the start is an error.
func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.position
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 {
		return 0, errors.New("whoami: seek to a position before the start")
	}
	c.position = offset
	return offset, nil
}
