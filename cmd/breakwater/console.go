package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
)

// console writes log records for a person at a terminal: time, level and message first, then the attributes as
// slog.TextHandler writes them, quoted where need be. Copies that With makes share one writer.
type console struct {
	out   *consoleOutput
	attrs slog.Handler // a TextHandler for the attributes, which writes to out.buffer
}

// consoleOutput is what all copies of a console share.
type consoleOutput struct {
	color bool
	level slog.Level

	mu     sync.Mutex // guards w and buffer
	w      io.Writer
	buffer bytes.Buffer
}

var _ slog.Handler = (*console)(nil)

func newConsole(w io.Writer, level slog.Level, color bool) *console {
	out := &consoleOutput{w: w, level: level, color: color}
	return &console{out: out, attrs: slog.NewTextHandler(&out.buffer, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
				return slog.Attr{}
			}
			return a
		},
	})}
}

// Enabled implements slog.Handler.
func (c *console) Enabled(_ context.Context, level slog.Level) bool { return level >= c.out.level }

// Handle implements slog.Handler.
func (c *console) Handle(ctx context.Context, r slog.Record) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	b := &c.out.buffer
	b.Reset()
	if !r.Time.IsZero() {
		b.WriteString(r.Time.Format("15:04:05 "))
	}
	level := r.Level.String()
	c.out.style(b, levelColor(r.Level), level)
	b.WriteString("      "[:max(1, 6-len(level))])
	c.out.style(b, "1", clean(r.Message))
	b.WriteString("  ")
	if err := c.attrs.Handle(ctx, r); err != nil {
		return err
	}
	line := append(bytes.TrimRight(b.Bytes(), " \n"), '\n')
	_, err := c.out.w.Write(line)
	return err
}

// WithAttrs implements slog.Handler.
func (c *console) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &console{out: c.out, attrs: c.attrs.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (c *console) WithGroup(name string) slog.Handler {
	return &console{out: c.out, attrs: c.attrs.WithGroup(name)}
}

func (o *consoleOutput) style(b *bytes.Buffer, code, s string) {
	if !o.color {
		b.WriteString(s)
		return
	}
	b.WriteString("\x1b[" + code + "m" + s + "\x1b[0m")
}

// levelColor returns the colour of a level: red, yellow, none or dim.
func levelColor(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "31"
	case l >= slog.LevelWarn:
		return "33"
	case l >= slog.LevelInfo:
		return "0"
	}
	return "2"
}

// clean keeps a message, which libraries may build from anything, in its line.
func clean(s string) string {
	return string(bytes.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, []byte(s)))
}
