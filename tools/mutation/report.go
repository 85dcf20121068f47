package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// result is what became of a package's mutants.
type result struct {
	pkg                                            string
	killed, hung, lived, notCovered, notViable, no int
	untried                                        int      // of those that are compiled together, those without a verdict
	survivors                                      []string // as readExplanations reads them, sorted
}

// score is the percentage of mutants killed among all that can be compiled and
// were to be tried; those that no test reaches are not.
func (r *result) score() float64 {
	all := r.killed + r.hung + r.lived + r.notCovered
	if all == 0 {
		return 100
	}
	return 100 * float64(r.killed+r.hung) / float64(all)
}

func readResult(root, pkg, verdicts string) (*result, error) {
	known, err := readVerdicts(verdicts)
	if err != nil {
		return nil, err
	}
	r := &result{pkg: pkg}
	for _, v := range known {
		switch v.Status {
		case killed:
			r.killed++
		case hung:
			r.hung++
		case lived, unreached:
			if v.Status == lived {
				r.lived++
			} else {
				r.notCovered++
			}
			name, err := describe(root, pkg, v)
			if err != nil {
				return nil, err
			}
			r.survivors = append(r.survivors, name)
		case notViable:
			r.notViable++
		case leftOut:
			r.no++
		}
	}
	slices.Sort(r.survivors)
	return r, nil
}

// describe names a mutant by what stays when lines move:
//
//	pkg/state/copy.go CopyDue "<" to "<=" in: return since >= age || since < -age, nil
//
// Where the token stands in the line more than once, its number follows.
func describe(root, pkg string, v verdict) (string, error) {
	path := filepath.Join(root, pkg, v.File)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	lines := strings.Split(string(text), "\n")
	if v.Line < 1 || v.Line > len(lines) {
		return "", fmt.Errorf("%s has no line %d", path, v.Line)
	}
	line := lines[v.Line-1]
	what := fmt.Sprintf("%q to %q", v.From, v.To)
	if n := strings.Count(line[:v.Column-1], v.From); n > 0 {
		what += fmt.Sprintf(" (%d)", n+1)
	}
	name, _, _ := function(path, text, v.Line)
	return fmt.Sprintf("%s/%s %s %s in: %s", pkg, v.File, name, what, strings.TrimSpace(line)), nil
}

// function is the function around a line, and its lines; "-" outside of any.
func function(path string, text []byte, line int) (name string, from, to int) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, text, parser.SkipObjectResolution)
	if err != nil {
		return "-", 0, 0
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if from, to = files.Position(f.Pos()).Line, files.Position(f.End()).Line; from <= line && line <= to {
			return f.Name.Name, from, to
		}
	}
	return "-", 0, 0
}

// readExplanations are the lines of the file that name a survivor, indented by
// four blanks: each stands under the sentence that explains it.
func readExplanations(path string) (map[string]bool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "    pkg/"); ok {
			out["pkg/"+name] = true
		}
	}
	return out, nil
}

func (r *result) print(out io.Writer, explained map[string]bool) {
	fmt.Fprintf(out, "%s: %.1f %% of %d mutants killed: %d by a failing test, %d because the tests did not end; %d lived, %d not reached; besides %d not viable, %d left out\n",
		r.pkg, r.score(), r.killed+r.hung+r.lived+r.notCovered, r.killed, r.hung, r.lived, r.notCovered, r.notViable, r.no)
	without := slices.DeleteFunc(slices.Clone(r.survivors), func(s string) bool { return explained[s] })
	fmt.Fprintf(out, "%s: %d survivors, %d of them without an explanation%s\n", r.pkg, len(r.survivors), len(without), cmp.Or(map[bool]string{true: ":"}[len(without) > 0], ""))
	for _, s := range without {
		fmt.Fprintln(out, "    "+s)
	}
	if r.no > 0 {
		return // what was left out may be what an explanation is about
	}
	for name := range explained {
		if strings.HasPrefix(name, r.pkg+"/") && !slices.Contains(r.survivors, name) {
			fmt.Fprintf(out, "%s: explained, but not alive: %s\n", r.pkg, name)
		}
	}
}
