package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestClocksAreHandedIn(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "linux") {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		why, named := clockless[name]
		if !named {
			why = handed[name]
		}
		if why == "" {
			continue
		}
		for file, src := range read(t, p.Dir, p.GoFiles) {
			at := callsOf(t, file, src, "Now", "Since")
			if named {
				at = namesOf(t, file, src, clocks...)
			}
			for _, at := range at {
				t.Errorf("%s: %s", at, why)
			}
		}
	}
}

func TestNoTestSleepsForReal(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "linux") {
		for file, src := range read(t, p.Dir, append(slices.Clone(p.TestGoFiles), p.XTestGoFiles...)) {
			if name, _ := imported(parse(t, file, src), "testing/synctest"); name != "" {
				continue
			}
			for _, at := range callsOf(t, file, src, "Sleep") {
				t.Errorf("%s: a test that sleeps is slow on a fast machine and fails on a slow one: use testing/synctest, or wait "+
					"for a condition", at)
			}
		}
	}
}

// read is the text of files by path.
func read(t *testing.T, dir string, names []string) map[string][]byte {
	t.Helper()
	texts := map[string][]byte{}
	for _, name := range names {
		file := filepath.Join(dir, name)
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("reading a file that go list named: %v", err)
		}
		texts[file] = src
	}
	return texts
}

// parsed is a source file, and where its nodes stand.
type parsed struct {
	*ast.File
	*token.FileSet
}

func parse(t *testing.T, file string, src []byte) parsed {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("parsing: %v", err)
	}
	return parsed{f, fset}
}

// imported is the name under which a file imports a package; empty for not.
func imported(f parsed, path string) (name string, ok bool) {
	for _, i := range f.Imports {
		if i.Path.Value == strconv.Quote(path) {
			if i.Name != nil {
				return i.Name.Name, true
			}
			return path[strings.LastIndex(path, "/")+1:], true
		}
	}
	return "", false
}

// namesOf are the places at which a source file names one of these of package
// time, called or not.
func namesOf(t *testing.T, file string, src []byte, names ...string) []string {
	t.Helper()
	f := parse(t, file, src)
	var at []string
	ast.Inspect(f.File, func(n ast.Node) bool {
		if name, ok := clockNamed(f, n, names); ok {
			at = append(at, fmt.Sprintf("%s names time.%s", f.Position(n.Pos()), name))
		}
		return true
	})
	return at
}

// callsOf are the places at which a source file calls one of these of package
// time.
func callsOf(t *testing.T, file string, src []byte, names ...string) []string {
	t.Helper()
	f := parse(t, file, src)
	var at []string
	ast.Inspect(f.File, func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if name, ok := clockNamed(f, c.Fun, names); ok {
			at = append(at, fmt.Sprintf("%s calls time.%s", f.Position(n.Pos()), name))
		}
		return true
	})
	return at
}

// clockNamed tells whether a node names one of these of package time.
func clockNamed(f parsed, n ast.Node, names []string) (name string, ok bool) {
	s, ok := n.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	x, ok := s.X.(*ast.Ident)
	if !ok {
		return "", false
	}
	local, ok := imported(f, "time")
	return s.Sel.Name, ok && x.Name == local && slices.Contains(names, s.Sel.Name)
}

func TestClocksAreFound(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		src          string
		names, calls []string
	}{
		"a call": {
			"package p\nimport \"time\"\nvar t = time.Now()\n",
			[]string{"p.go:3:9 names time.Now"}, []string{"p.go:3:9 calls time.Now"},
		},
		"a value is named, not called": {
			"package p\nimport \"time\"\nvar now = time.Now\n", []string{"p.go:3:11 names time.Now"}, nil,
		},
		"under another name": {
			"package p\nimport clock \"time\"\nvar t = clock.Now()\n",
			[]string{"p.go:3:9 names time.Now"}, []string{"p.go:3:9 calls time.Now"},
		},
		"another package's Now":     {"package p\nimport \"other/time\"\nvar t = time.Now()\n", nil, nil},
		"a duration is not a clock": {"package p\nimport \"time\"\nvar d = time.Duration(1)\n", nil, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.names, namesOf(t, "p.go", []byte(tt.src), clocks...)); diff != "" {
				t.Errorf("names (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tt.calls, callsOf(t, "p.go", []byte(tt.src), clocks...)); diff != "" {
				t.Errorf("calls (-want +got)\n%s", diff)
			}
		})
	}
}
