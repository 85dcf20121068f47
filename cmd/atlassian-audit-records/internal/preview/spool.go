package preview

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/pkg/agent"
)

// Spool is what lies on the disk.
type Spool struct {
	Lines []Line
	// Files are the paths of those that were read; Left is true where older lines
	// were not, because there were enough.
	Files []string
	Left  bool
}

// Spooled reads the newest lines below base, as many as most: what waits for
// the Agent, and what it has delivered. It changes nothing, and takes files as
// they are while the check writes them: a line without its end is not there yet.
func Spooled(base string, most int) (Spool, error) {
	var paths []string
	for _, kind := range []string{agent.SpoolDir(base, ""), agent.LateDir(base, ""), agent.DeliveredDir(base, "")} {
		sources, err := list(kind)
		if err != nil {
			return Spool{}, err
		}
		for _, source := range sources {
			if !source.IsDir() {
				continue
			}
			folder := filepath.Join(kind, source.Name())
			files, err := list(folder)
			if err != nil {
				return Spool{}, err
			}
			for _, f := range files {
				if f.Type().IsRegular() && strings.Contains(f.Name(), ".jsonl") {
					paths = append(paths, filepath.Join(folder, f.Name()))
				}
			}
		}
	}
	// Names begin with the time at which a file was begun.
	slices.SortFunc(paths, func(a, b string) int { return strings.Compare(filepath.Base(b), filepath.Base(a)) })
	var out Spool
	for _, p := range paths {
		if len(out.Lines) >= most {
			out.Left = true
			break
		}
		lines, err := linesOf(p)
		if err != nil {
			return Spool{}, err
		}
		out.Files = append(out.Files, p)
		slices.Reverse(lines) // the newest are at the end
		if room := most - len(out.Lines); len(lines) > room {
			lines, out.Left = lines[:room], true
		}
		out.Lines = append(out.Lines, lines...)
	}
	return out, nil
}

// list is what is in a folder; one that is not there is empty.
func list(folder string) ([]os.DirEntry, error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("look into the spool: %w", err)
	}
	return entries, nil
}

// linesOf are a file's lines; none where it was moved or removed meanwhile.
func linesOf(path string) ([]Line, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read a file of the spool: %w", err)
	}
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at a file of the spool: %w", err)
	}
	return split(text, info.ModTime()), nil
}

// split leaves out what has no end yet.
func split(text []byte, at time.Time) []Line {
	var out []Line
	for line := range bytes.Lines(text) {
		if bytes.HasSuffix(line, []byte("\n")) {
			out = append(out, Line{line, at})
		}
	}
	return out
}
