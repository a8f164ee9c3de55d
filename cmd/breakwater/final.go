package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/chaos/report"
)

// finalReport is the report that a process leaves behind when it stops.
type finalReport struct {
	file  string    // "" is none
	print io.Writer // nil: it is not printed
}

// formatOf returns the format that a file's name asks for.
func formatOf(file string) (report.Format, error) {
	switch filepath.Ext(file) {
	case ".txt":
		return report.Table, nil
	case ".md":
		return report.Markdown, nil
	case ".xml":
		return report.JUnit, nil
	case ".json":
		return report.JSON, nil
	}
	return "", wrong("--report %q: want a name that ends in .txt, .md, .xml (JUnit) or .json", file)
}

// validate says now what would otherwise be known at the end only.
func (f *finalReport) validate() error {
	if f.file == "" {
		return nil
	}
	if _, err := formatOf(f.file); err != nil {
		return err
	}
	if folder := filepath.Dir(f.file); !isDir(folder) {
		return wrong("--report %q: there is no folder %s", f.file, folder)
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// write writes and prints the report.
func (f *finalReport) write(r chaos.Report) error {
	if f.print != nil {
		if _, err := fmt.Fprintln(f.print); err != nil {
			return fmt.Errorf("print the report: %w", err)
		}
		if err := report.WriteTable(f.print, &r, nil, tableWidth(f.print)); err != nil {
			return fmt.Errorf("print the report: %w", err)
		}
	}
	if f.file == "" {
		return nil
	}
	format, err := formatOf(f.file)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := report.Write(&text, &r, format, nil); err != nil {
		return err
	}
	if err := os.WriteFile(f.file, text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the report (--report): %w", err)
	}
	return nil
}
