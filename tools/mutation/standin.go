package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// The stand-in answers three questions of gremlins:
//
//   - go test -coverprofile: each test is run by itself, and for each it is
//     kept what it reaches and how long it takes. gremlins is given the sum.
//   - go test of a mutant: it is compiled, then the tests that reach the place
//     are run in the order of order.go, until one fails or the budget is spent.
//   - everything else goes to the go command.
const (
	settingsVariable = "MUTATION_DIR"
	settingsFile     = "settings.json"
	unitsFile        = "units.json"
	blocksFile       = "blocks.json"
	verdictsFile     = "verdicts.jsonl"
)

// settings are what the stand-in is told by the program that starts gremlins.
type settings struct {
	Go, Root, Package, Part, Only, Tests string
	Budget                               time.Duration
}

// verdict is what became of a mutant. Its place is that of the token in the
// source as it is; Line and Column begin at 1.
type verdict struct {
	File         string
	Line, Column int
	From, To     string
	Status       string // one of those below
	Seconds      float64
}

const (
	killed    = "killed"
	hung      = "killed: the tests did not end"
	lived     = "lived"
	notViable = "not viable"
	leftOut   = "left out"
	unreached = "not reached"
)

var (
	errKilled    = errors.New("killed")
	errNotViable = errors.New("not viable")
)

func standIn(args []string) error {
	dir := os.Getenv(settingsVariable)
	var s settings
	if err := readJSON(filepath.Join(dir, settingsFile), &s); err != nil {
		return err
	}
	switch {
	case len(args) > 0 && args[0] == "test" && slices.Contains(args, "-coverprofile"):
		return s.measure(dir, args[slices.Index(args, "-coverprofile")+1])
	case len(args) > 0 && args[0] == "test":
		return s.try(dir)
	}
	cmd := exec.Command(s.Go, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

// try compiles the mutant that stands in the working directory, and tests it.
func (s settings) try(dir string) error {
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	v, err := s.difference(here)
	if err != nil {
		return err
	}
	if before, ok, err := s.before(dir, v); err != nil {
		return err
	} else if ok { // two mutators may make the same mutant
		return outcome(before.Status)
	}
	begun := time.Now()
	if v.Status, err = s.judge(dir, here, v); err != nil {
		return err
	}
	v.Seconds = time.Since(begun).Seconds()
	if err := appendJSON(filepath.Join(dir, verdictsFile), v); err != nil {
		return err
	}
	return outcome(v.Status)
}

func outcome(status string) error {
	switch status {
	case killed, hung:
		return errKilled
	case lived:
		return nil
	}
	return errNotViable
}

func (s settings) judge(dir, here string, v verdict) (string, error) {
	if v.From == v.To {
		return notViable, nil
	}
	if chosen, err := s.chosen(v); err != nil || !chosen {
		return leftOut, err
	}
	var units []unit
	if err := readJSON(filepath.Join(dir, unitsFile), &units); err != nil {
		return "", err
	}
	var all []block
	if err := readJSON(filepath.Join(dir, blocksFile), &all); err != nil {
		return "", err
	}
	reach := s.reaching(all, units, v.File, v.Line, v.Column)
	dials := map[string]int{}
	if err := readJSON(filepath.Join(dir, dialsFile), &dials); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	binary := filepath.Join(dir, dialBinary)
	number := dials[dialKey(v.File, v.Line, v.Column, v.To)]
	if number == 0 {
		binary = filepath.Join(dir, "mutant.test")
		build := exec.Command(s.Go, "test", "-c", "-vet=off", "-ldflags=-s -w", "-o", binary, ".")
		build.Dir = here
		if build.Run() != nil {
			return notViable, nil
		}
	}
	if len(reach) == 0 {
		return unreached, nil
	}
	temp := filepath.Join(dir, "temp")
	defer os.RemoveAll(temp)
	kills, err := readKills(dir)
	if err != nil {
		return "", err
	}
	for _, b := range batches(inOrder(reach, kills), s.Budget) {
		if err := os.MkdirAll(temp, 0o700); err != nil {
			return "", err
		}
		output, ended, err := runBatch(here, binary, temp, b, number)
		switch {
		case !ended:
			return hung, nil
		case err != nil:
			return killed, kills.add(dir, output)
		}
	}
	return lived, nil
}

// runBatch runs some tests of a mutant. They have not ended where they took much
// more processor time than the same tests without the mutant, or nothing at all
// happened for minutes: how busy the machine is must not matter. number is the
// mutant's in a program of many.
func runBatch(here, binary, temp string, b batch, number int) (output []byte, ended bool, err error) {
	seconds := 10 + 5*int(b.time.Seconds()+1)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute+20*b.time)
	defer cancel()
	// Nor may a mutant ask for memory without end.
	cmd := exec.CommandContext(ctx, "sh", "-c", fmt.Sprintf(`ulimit -v 4194304; ulimit -t %d; exec "$@"`, seconds), "sh",
		binary, "-test.failfast", "-test.run", b.pattern(), "-test.timeout", "1h")
	cmd.Dir, cmd.WaitDelay = here, 5*time.Second
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, fmt.Sprintf("%s=%d", dialVariable, number))
	output, err = cmd.CombinedOutput()
	spent := cmd.ProcessState != nil && cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime() >= time.Duration(seconds)*time.Second
	return output, ctx.Err() == nil && (err == nil || !spent), err
}

// chosen reports whether a mutant is of the part that is to be tried: by what
// it is, not by where, so that it stays in its part when lines move.
func (s settings) chosen(v verdict) (bool, error) {
	name, err := describe(s.Root, s.Package, v)
	if err != nil {
		return false, err
	}
	if only, err := regexp.Compile(s.Only); err != nil || !only.MatchString(name) {
		return false, err
	}
	var part, parts uint32
	if _, err := fmt.Sscanf(s.Part, "%d/%d", &part, &parts); err != nil || parts == 0 {
		return true, nil
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%s %d %s %s", v.File, v.Column, v.From, v.To)
	text, err := os.ReadFile(filepath.Join(s.Root, s.Package, v.File))
	if err != nil {
		return false, err
	}
	lines := bytes.Split(text, []byte("\n"))
	h.Write(lines[v.Line-1])
	return h.Sum32()%parts == part%parts, nil
}

// difference finds the token that gremlins changed. It prints the whole file
// anew, so that only tokens can be compared.
func (s settings) difference(here string) (verdict, error) {
	paths, err := filepath.Glob(filepath.Join(here, "*.go"))
	if err != nil {
		return verdict{}, err
	}
	for _, path := range paths {
		file := filepath.Base(path)
		was, err := os.ReadFile(filepath.Join(s.Root, s.Package, file))
		if err != nil {
			return verdict{}, err
		}
		is, err := os.ReadFile(path)
		if err != nil {
			return verdict{}, err
		}
		if bytes.Equal(was, is) {
			continue
		}
		old, now := tokens(was), tokens(is)
		for i := range old {
			if i >= len(now) || old[i].text != now[i].text {
				v := verdict{File: file, Line: old[i].at.Line, Column: old[i].at.Column, From: old[i].text}
				if i < len(now) {
					v.To = now[i].text
				}
				return v, nil
			}
		}
		return verdict{File: file}, nil // the token became itself
	}
	return verdict{}, nil
}

type word struct {
	text string
	at   token.Position
}

// tokens are those of a source, without the semicolons that stand for line ends
// and without parentheses, which another operator may need or not.
func tokens(source []byte) []word {
	files := token.NewFileSet()
	file := files.AddFile("", -1, len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, 0)
	var out []word
	for {
		pos, tok, text := s.Scan()
		switch {
		case tok == token.EOF:
			return out
		case tok == token.SEMICOLON && text == "\n", tok == token.LPAREN, tok == token.RPAREN:
			continue
		case !tok.IsLiteral():
			text = tok.String()
		}
		out = append(out, word{text, files.Position(pos)})
	}
}

// before is the verdict on the same mutant, where there is one.
func (s settings) before(dir string, v verdict) (verdict, bool, error) {
	known, err := readVerdicts(filepath.Join(dir, verdictsFile))
	for _, k := range known {
		if k.File == v.File && k.Line == v.Line && k.Column == v.Column && k.From == v.From && k.To == v.To {
			return k, true, err
		}
	}
	return verdict{}, false, err
}

func readVerdicts(path string) ([]verdict, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []verdict
	for line := range bytes.Lines(text) {
		var v verdict
		if err := json.Unmarshal(line, &v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func writeJSON(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

func readJSON(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

func appendJSON(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Close())
}
