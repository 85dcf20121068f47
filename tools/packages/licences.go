package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// module is a module that is linked into a program.
type module struct {
	path, version string
	hash          string // of go.sum, "h1:…"
}

func (m module) String() string { return m.path + "@" + m.version }

// licences finds the licences of modules in the module cache, once each.
type licences struct {
	dir   string // where `go mod download` is run
	known map[string]licence
}

// licence is what a module says about its use.
type licence struct {
	ids   []string // by SPDX, sorted
	texts []string // whole, licence and notice
}

func newLicences(dir string) *licences { return &licences{dir: dir, known: map[string]licence{}} }

// of finds the licences of modules. A module without one that we know is an
// error: nothing is handed out without knowing that it may be.
func (l *licences) of(ctx context.Context, modules []module) (map[string]licence, error) {
	var ask []string
	for _, m := range modules {
		if _, ok := l.known[m.String()]; !ok {
			ask = append(ask, m.String())
		}
	}
	if len(ask) > 0 {
		if err := l.download(ctx, ask); err != nil {
			return nil, err
		}
	}
	return l.known, nil
}

func (l *licences) download(ctx context.Context, modules []string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"mod", "download", "-json"}, modules...)...) //nolint:gosec // no shell, and names out of our own programs
	cmd.Dir = l.dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("find the licences in the module cache: %w", err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var found struct{ Path, Version, Dir string }
		err := d.Decode(&found)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what `go mod download` wrote: %w", err)
		}
		read, err := readLicence(found.Dir)
		if err != nil {
			return fmt.Errorf("the licence of %s: %w", found.Path, err)
		}
		l.known[found.Path+"@"+found.Version] = read
	}
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|unlicense)([.-].*)?$`)

// readLicence reads the licence files at the top of a folder.
func readLicence(dir string) (licence, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return licence{}, fmt.Errorf("list a module's files: %w", err)
	}
	var l licence
	for _, f := range files {
		if f.IsDir() || !licenceFile.MatchString(f.Name()) || strings.HasSuffix(f.Name(), ".go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return licence{}, fmt.Errorf("read a licence: %w", err)
		}
		l.texts = append(l.texts, strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")))
		l.ids = append(l.ids, identify(string(text))...)
	}
	slices.Sort(l.ids)
	l.ids = slices.Compact(l.ids)
	if len(l.ids) == 0 {
		return licence{}, fmt.Errorf("no file in %s is a licence that tools/packages knows: look at it, and add its words to licences.go", dir)
	}
	return l, nil
}

// signs are the words by which a licence is known. Only licences are here that
// allow to hand out programs without their source.
var signs = []struct {
	id    string
	words []string
}{
	{"Apache-2.0", []string{"apache license", "version 2.0"}},
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy"}},
	{"BSD-3-Clause", []string{"redistributions of source code must retain", "redistributions in binary form must reproduce", "endorse or promote products"}},
	{"BSD-2-Clause", []string{"redistributions of source code must retain", "redistributions in binary form must reproduce"}},
	{"ISC", []string{"permission to use, copy, modify, and/or distribute this software for any purpose"}},
	{"ISC", []string{"permission to use, copy, modify, and distribute this software for any purpose with or without fee is hereby granted"}},
	{"MPL-2.0", []string{"mozilla public license", "2.0"}},
}

// identify says which licences a text holds.
func identify(text string) []string {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	var ids []string
	for _, s := range signs {
		if s.id == "BSD-2-Clause" && slices.Contains(ids, "BSD-3-Clause") {
			continue // its words are part of the other's
		}
		if !slices.ContainsFunc(s.words, func(w string) bool { return !strings.Contains(text, w) }) {
			ids = append(ids, s.id)
		}
	}
	return ids
}
