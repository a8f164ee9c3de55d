package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

const controlGroups = "/sys/fs/cgroup"

// hierarchies returns the mounted hierarchies of control groups: one of version 2, or several of version 1.
func hierarchies() ([]string, error) {
	if _, err := os.Stat(filepath.Join(controlGroups, "cgroup.controllers")); err == nil {
		return []string{controlGroups}, nil
	}
	return filepath.Glob(filepath.Join(controlGroups, "*"))
}

// makeControlGroups makes an empty group of a name in every hierarchy.
func makeControlGroups(name string) error {
	all, err := hierarchies()
	for _, h := range all {
		if mkdir := os.Mkdir(filepath.Join(h, name), 0o755); !errors.Is(mkdir, fs.ErrExist) {
			err = errors.Join(err, mkdir)
		}
	}
	return err
}

// removeControlGroups removes the groups of a name and those below, whose processes have ended.
func removeControlGroups(name string) error {
	all, err := hierarchies()
	for _, h := range all {
		var groups []string
		walk := filepath.WalkDir(filepath.Join(h, name), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				groups = append(groups, path)
			}
			return err
		})
		if !errors.Is(walk, fs.ErrNotExist) {
			err = errors.Join(err, walk)
		}
		for _, g := range slices.Backward(groups) { // the innermost first
			err = errors.Join(err, os.Remove(g))
		}
	}
	return err
}
