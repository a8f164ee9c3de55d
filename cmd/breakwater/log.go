package main

import (
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// logOptions are the flags of the program's own log.
type logOptions struct {
	level  string
	format string
}

func (o *logOptions) add(f *pflag.FlagSet) {
	f.StringVar(&o.level, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&o.format, "log-format", "auto", "text, json, or auto: text on a terminal and JSON otherwise")
}

// logger returns the log that writes to w.
func (o *logOptions) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.level)); err != nil || strings.ContainsAny(o.level, "+-") {
		return nil, wrong("--log-level %q: want debug, info, warn or error", o.level)
	}
	text := false
	switch o.format {
	case "text":
		text = true
	case "json":
	case "auto":
		text = isTerminal(w)
	default:
		return nil, wrong("--log-format %q: want text, json or auto", o.format)
	}
	if text {
		return slog.New(newConsole(w, level, wantsColor(w))), nil
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: readable})), nil
}

// readable writes durations with their unit instead of as nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.String(a.Key, a.Value.Duration().String())
	}
	return a
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// wantsColor reports whether w is a terminal whose user has not asked for plain text (https://no-color.org).
func wantsColor(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
