package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// unit is a test, or what has no further subtests of one that takes long, with
// what it reaches.
type unit struct {
	Name string
	// Time is the processor's, as it depends less on what else the machine does.
	Time   time.Duration
	Blocks []block
}

// block is a stretch of source, both ends included, as a cover profile has it.
type block struct {
	File            string
	Line, Column    int
	EndLine, EndCol int
	Statements      int
}

func (b block) holds(file string, line, column int) bool {
	from := b.Line < line || b.Line == line && b.Column <= column
	to := line < b.EndLine || line == b.EndLine && column <= b.EndCol
	return b.File == file && from && to
}

// reaching are the units that reach a place. One that lies in no block of all,
// as an expression behind case does, is reached by what reaches its function; one
// outside of functions, as a constant, by all.
func (s settings) reaching(all []block, units []unit, file string, line, column int) []unit {
	reach := func(b block) bool { return b.holds(file, line, column) }
	if !slices.ContainsFunc(all, reach) {
		path := filepath.Join(s.Root, s.Package, file)
		text, err := os.ReadFile(path)
		name, from, to := function(path, text, line)
		if err != nil || name == "-" {
			return slices.Clone(units)
		}
		reach = func(b block) bool { return b.File == file && from <= b.Line && b.EndLine <= to }
	}
	return slices.DeleteFunc(slices.Clone(units), func(u unit) bool { return !slices.ContainsFunc(u.Blocks, reach) })
}

// long is from when on the subtests of a test, down to those that have none, are
// measured one by one.
const long = time.Second

// measure runs each test of the package by itself, keeps what it learns, and
// writes the sum of all profiles to the path given.
func (s settings) measure(dir, profile string) error {
	here := filepath.Join(s.Root, s.Package)
	binary := filepath.Join(dir, "cover.test")
	build := exec.Command(s.Go, "test", "-c", "-cover", "-covermode=set", "-o", binary, ".")
	build.Dir, build.Stderr = here, os.Stderr
	if err := build.Run(); err != nil {
		return err
	}
	list := exec.Command(binary, "-test.list", s.Tests)
	list.Dir = here
	names, err := list.Output()
	if err != nil {
		return fmt.Errorf("list the tests: %w", err)
	}
	var units []unit
	sum := map[string]int{}
	for _, name := range strings.Fields(string(names)) {
		u, subtests, err := s.unit(dir, binary, here, name, sum)
		if err != nil {
			return err
		}
		if u.Time <= long || len(subtests) == 0 {
			units = append(units, u)
			continue
		}
		for _, sub := range subtests {
			u, _, err := s.unit(dir, binary, here, sub, sum)
			if err != nil {
				return err
			}
			units = append(units, u)
		}
	}
	// gremlins takes an expression behind case for unreached, since it lies in no
	// block: it is told that all is reached, and try finds out what is.
	var out bytes.Buffer
	out.WriteString("mode: set\n")
	all := []block{}
	whole := map[string]bool{}
	for _, place := range slices.Sorted(maps.Keys(sum)) {
		b, err := parseBlock(place)
		if err != nil {
			return err
		}
		all = append(all, b)
		if file, _, _ := cutLast(place, ":"); !whole[file] {
			whole[file] = true
			fmt.Fprintf(&out, "%s:1.1,1000000.1 1 1\n", file)
		}
	}
	if err := writeJSON(filepath.Join(dir, blocksFile), all); err != nil {
		return err
	}
	if err := os.WriteFile(profile, out.Bytes(), 0o600); err != nil {
		return err
	}
	if err := s.compileDial(dir, units); err != nil {
		fmt.Fprintf(os.Stderr, "mutation: every mutant of %s is compiled by itself: %v\n", s.Package, err)
	}
	return writeJSON(filepath.Join(dir, unitsFile), units)
}

var started = regexp.MustCompile(`(?m)^=== RUN   (\S+)$`)

// leaves are the subtests that a test ran and that have none themselves.
func leaves(output []byte) (out []string) {
	parents := map[string]bool{}
	var all []string
	for _, m := range started.FindAllSubmatch(output, -1) {
		name := string(m[1])
		if parent, _, ok := cutLast(name, "/"); ok {
			parents[parent] = true
			all = append(all, name)
		}
	}
	return slices.DeleteFunc(all, func(name string) bool { return parents[name] })
}

// unit runs one test. It adds to sum, by block, whether it was reached.
func (s settings) unit(dir, binary, here, name string, sum map[string]int) (u unit, subtests []string, err error) {
	profile := filepath.Join(dir, "unit.cover")
	cmd := exec.Command(binary, "-test.v", "-test.run", batch{names: []string{name}}.pattern(), "-test.coverprofile", profile, "-test.timeout", "20m")
	cmd.Dir = here
	text, err := cmd.CombinedOutput()
	if err != nil {
		return u, nil, fmt.Errorf("%s fails as it is: %w\n%s", name, err, text)
	}
	u = unit{Name: name, Time: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	subtests = leaves(text)
	lines, err := os.ReadFile(profile)
	if err != nil {
		return u, nil, err
	}
	for line := range strings.Lines(string(lines)) {
		place, hits, ok := cutLast(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(line, "mode:") {
			continue
		}
		if _, known := sum[place]; !known {
			sum[place] = 0
		}
		if hits == "0" {
			continue
		}
		sum[place] = 1
		b, err := parseBlock(place)
		if err != nil {
			return u, nil, err
		}
		u.Blocks = append(u.Blocks, b)
	}
	return u, subtests, nil
}

// parseBlock reads a block as a cover profile has it, without its hits.
func parseBlock(place string) (b block, err error) {
	file, numbers, _ := cutLast(place, ":")
	if _, err := fmt.Sscanf(numbers, "%d.%d,%d.%d %d", &b.Line, &b.Column, &b.EndLine, &b.EndCol, &b.Statements); err != nil {
		return b, fmt.Errorf("read the cover profile: %w", err)
	}
	b.File = path.Base(file)
	return b, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
