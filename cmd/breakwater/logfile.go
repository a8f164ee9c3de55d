package main

import (
	"fmt"
	"os"
	"sync"
)

// logFile is a file that lines are appended to. It can be renamed and opened anew, as whoever rotates logs wants it. It is safe for
// concurrent use.
type logFile struct {
	path string

	mu   sync.Mutex // guards file
	file *os.File
}

// openLog opens a file, which need not exist.
func openLog(path string) (*logFile, error) {
	l := &logFile{path: path}
	return l, l.reopen()
}

// reopen goes on with the file that has the path now. After an error it goes on with the one before.
func (l *logFile) reopen() error {
	next, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.file
	l.file = next
	if before == nil {
		return nil
	}
	if err := before.Close(); err != nil {
		return fmt.Errorf("close the file before: %w", err)
	}
	return nil
}

// Write implements io.Writer.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Write(p)
}

// Close implements io.Closer.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
