package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

const (
	// plainWidth is the width of help in columns if it does not go to a terminal: it fits in any.
	plainWidth = 80
	// mostWidth is the width from which lines are hard to read.
	mostWidth = 110
)

// terminalWidth returns how many columns the terminal has that w is; 0 if it is none, or one that does not know.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// helpWidth returns the width of help that is written to w, in columns.
func helpWidth(w io.Writer) int {
	columns := terminalWidth(w)
	if columns == 0 {
		return plainWidth
	}
	return min(max(columns, plainWidth/2), mostWidth)
}

// help writes what a command does, and its usage.
func help(c *cobra.Command, _ []string) {
	out := c.OutOrStdout()
	fmt.Fprintf(out, "%s\n\n", fill(cmp.Or(c.Long, c.Short), helpWidth(out)))
	_ = c.Usage() // if it cannot be printed, nobody is there to be told
}

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Print the help of a command",
		RunE: func(c *cobra.Command, args []string) error {
			found, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return wrong("there is no command %q", strings.Join(args, " "))
			}
			found.InitDefaultHelpFlag() // so that it is listed
			return found.Help()
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
			if found, rest, err := c.Root().Find(args); err == nil && len(rest) == 0 {
				for _, sub := range found.Commands() {
					if sub.IsAvailableCommand() {
						names = append(names, cobra.CompletionWithDesc(sub.Name(), sub.Short))
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// fill breaks lines so that they fit in width columns. The lines of a paragraph are joined before; one that begins with a space stands
// for itself, and is continued below what follows the last gap of two spaces in it.
func fill(text string, width int) string {
	var out, paragraph []string
	end := func() {
		out = append(out, wrap("", strings.Join(paragraph, " "), width)...)
		paragraph = nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case strings.HasPrefix(line, " "):
			end()
			gap := strings.LastIndex(line, "  ") + len("  ")
			out = append(out, wrap(line[:gap], line[gap:], width)...)
		case line == "":
			end()
			out = append(out, "")
		default:
			paragraph = append(paragraph, line)
		}
	}
	end()
	return strings.Join(out, "\n")
}

// fillFlags returns the usage of flags in width columns.
func fillFlags(flags *pflag.FlagSet, width int) string {
	var out []string
	for line := range strings.Lines(flags.FlagUsages()) {
		name := strings.Index(line, "--")
		gap := name + strings.Index(line[name:], "  ")
		usage := strings.TrimLeft(line[gap:], " ")
		out = append(out, wrap(strings.TrimSuffix(line, usage), usage, width)...)
	}
	return strings.Join(out, "\n")
}

// wrap returns the lines of head and text, broken between words. Those after the first are indented by the width of head.
func wrap(head, text string, width int) (lines []string) {
	indent := strings.Repeat(" ", utf8.RuneCountInString(head))
	line := head
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
			line += word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = indent + word
		default:
			line += " " + word
		}
	}
	if line == "" {
		return lines
	}
	return append(lines, line)
}
