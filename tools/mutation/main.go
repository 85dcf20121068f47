// Command mutation runs gremlins on packages of this repository and says which
// mutants their tests let live. Run it from the top of the repository:
//
//	mutation [-gremlins PATH] [-minimum 85] [-part 1/4] [-only PATTERN] [-budget 60s] [-tests PATTERN] [-explained docs/mutation.md] ./pkg/state …
//
// It promises that a mutant counts as killed only where its package compiles
// and a test of the package fails or does not end; one that no test reaches
// counts as alive. It does not say whether a survivor matters: that is for a
// person to write into the file of explanations.
//
// gremlins alone would run a package's whole suite for each mutant, take what
// does not compile for killed (go test ends both with status 1), and take the
// time of a cached run for the suite's. So it is given a stand-in for the go
// command, which is this program under another name: see standin.go.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	var err error
	if filepath.Base(os.Args[0]) == "go" {
		err = standIn(os.Args[1:])
	} else {
		err = run(os.Args[1:], os.Stdout)
	}
	var status *exec.ExitError
	switch {
	case errors.As(err, &status):
		os.Exit(status.ExitCode())
	case errors.Is(err, errKilled):
		os.Exit(1)
	case errors.Is(err, errNotViable):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(3)
	}
}

// mutators are all that gremlins has.
var mutators = []string{
	"--arithmetic-base", "--conditionals-boundary", "--conditionals-negation", "--increment-decrement", "--invert-negatives",
	"--invert-logical", "--invert-loopctrl", "--invert-assignments", "--invert-bitwise", "--invert-bwassign", "--remove-self-assignments",
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutation", flag.ContinueOnError)
	gremlins := flags.String("gremlins", "bin/gremlins", "the program")
	minimum := flags.Float64("minimum", 85, "percent of a package's mutants that must be killed")
	part := flags.String("part", "1/1", "which part of the mutants to try, and of how many parts")
	only := flags.String("only", "", "a pattern of the mutants that are tried, as survivors are printed: pkg/state/redo.go pack")
	budget := flags.Duration("budget", time.Minute, "how much time of tests a mutant gets, counted without mutants")
	tests := flags.String("tests", "^Test|^Fuzz|^Example", "a pattern of the tests that are used; fewer take less time and kill less")
	explained := flags.String("explained", "docs/mutation.md", "the file that explains survivors")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	why, err := readExplanations(*explained)
	if err != nil {
		return err
	}
	if _, err := regexp.Compile(*only); err != nil {
		return err
	}
	var short []string
	for _, pkg := range flags.Args() {
		r, err := mutate(root, *gremlins, pkg, settings{Part: *part, Only: *only, Tests: *tests, Budget: *budget})
		if err != nil {
			return fmt.Errorf("%s: %w", pkg, err)
		}
		r.print(out, why)
		if r.untried > 0 {
			short = append(short, fmt.Sprintf("%s: gremlins ended before it had come to %d of the mutants", r.pkg, r.untried))
		}
		if r.score() < *minimum {
			short = append(short, fmt.Sprintf("%s: %.1f %% of the mutants were killed, want %.0f %%", r.pkg, r.score(), *minimum))
		}
	}
	if len(short) > 0 {
		return errors.New(strings.Join(short, "; "))
	}
	return nil
}

// mutate runs gremlins on one package.
func mutate(root, gremlins, pkg string, s settings) (*result, error) {
	pkg = strings.TrimPrefix(filepath.ToSlash(filepath.Clean(pkg)), "./")
	dir, err := os.MkdirTemp("", "mutation-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	realGo, err := exec.LookPath("go")
	if err != nil {
		return nil, err
	}
	if err := os.Symlink(self, filepath.Join(dir, "go")); err != nil {
		return nil, err
	}
	s.Go, s.Root, s.Package = realGo, root, pkg
	if err := writeJSON(filepath.Join(dir, settingsFile), s); err != nil {
		return nil, err
	}
	// One worker: the stand-in's own processes use the machine, and one mutant's
	// time is not another's. What gremlins takes for too long is never reached.
	arguments := append([]string{"unleash", "--silent", "--workers", "1", "--timeout-coefficient", "1000",
		"--exclude-files", "/", "--exclude-files", `_(windows|darwin)\.go$`}, mutators...)
	cmd := exec.Command(gremlins, append(arguments, "./"+pkg)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"), settingsVariable+"="+dir, "TMPDIR="+dir)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("gremlins: %w", err)
	}
	r, err := readResult(root, pkg, filepath.Join(dir, verdictsFile))
	if err != nil {
		return nil, err
	}
	r.untried, err = untried(dir)
	return r, err
}

// untried is how many of the mutants that are compiled together have no verdict:
// gremlins may end before it came to all, and without an error.
func untried(dir string) (int, error) {
	dials := map[string]int{}
	if err := readJSON(filepath.Join(dir, dialsFile), &dials); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	known, err := readVerdicts(filepath.Join(dir, verdictsFile))
	for _, v := range known {
		delete(dials, dialKey(v.File, v.Line, v.Column, v.To))
	}
	return len(dials), err
}
