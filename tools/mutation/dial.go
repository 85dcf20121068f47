package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/tools/go/ast/astutil"
)

// Compiling a mutant takes longer than most tests that kill it. So the mutants
// of comparisons, of && and || and of ++ and -- are compiled together, once: each
// such place asks at run time which mutant is wanted. All others are compiled
// one by one, and so are these where the package cannot be compiled like that.
const (
	dialVariable = "MUTATION_DIAL"
	dialsFile    = "dials.json"
	dialBinary   = "dial.test"
)

// dialed are what the operators become, as gremlins has it.
var dialed = map[token.Token][]token.Token{
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.INC: {token.DEC}, token.DEC: {token.INC},
}

// dialSource is what the places ask.
const dialSource = `package %s

import (
	"os"
	"strconv"
)

var mutationDial, _ = strconv.Atoi(os.Getenv("` + dialVariable + `"))

func mutationAnd(n int, x, y func() bool) bool {
	if mutationDial == n {
		return x() || y()
	}
	return x() && y()
}

func mutationOr(n int, x, y func() bool) bool {
	if mutationDial == n {
		return x() && y()
	}
	return x() || y()
}
`

// dialKey names a mutant by its place and what it becomes.
func dialKey(file string, line, column int, to string) string {
	return fmt.Sprintf("%s:%d:%d %s", file, line, column, to)
}

// compileDial makes the program of all those mutants, and notes their numbers. An
// error means that there is none.
func (s settings) compileDial(dir string, units []unit) error {
	here := filepath.Join(s.Root, s.Package)
	list := exec.Command(s.Go, "list", "-f", `{{.Name}} {{join .GoFiles " "}}`, ".")
	list.Dir = here
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("list the files: %w", err)
	}
	words := strings.Fields(string(out))
	dials := map[string]int{}
	replace := map[string]string{}
	for _, name := range words[1:] {
		text, err := dial(filepath.Join(here, name), dials)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, "dial_"+name)
		if err := os.WriteFile(to, text, 0o600); err != nil {
			return err
		}
		replace[filepath.Join(here, name)] = to
	}
	extra := filepath.Join(dir, "dial_source.go")
	if err := os.WriteFile(extra, fmt.Appendf(nil, dialSource, words[0]), 0o600); err != nil {
		return err
	}
	replace[filepath.Join(here, "zz_mutation_dial.go")] = extra
	overlay := filepath.Join(dir, "overlay.json")
	if err := writeJSON(overlay, map[string]any{"Replace": replace}); err != nil {
		return err
	}
	binary := filepath.Join(dir, dialBinary)
	build := exec.Command(s.Go, "test", "-c", "-vet=off", "-overlay", overlay, "-ldflags=-s -w", "-o", binary, ".")
	build.Dir = here
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, text)
	}
	// Without a mutant it must do as the package does.
	for _, b := range batches(inOrder(units, nil), 10*time.Second) {
		if _, _, err := runBatch(here, binary, dir, b, 0); err != nil {
			return fmt.Errorf("its tests fail without a mutant: %w", err)
		}
	}
	return writeJSON(filepath.Join(dir, dialsFile), dials)
}

// dial rewrites a source, and adds the numbers of its mutants to dials.
func dial(path string, dials map[string]int) ([]byte, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution) // without comments
	if err != nil {
		return nil, err
	}
	number := func(pos token.Pos, to token.Token) ast.Expr {
		at := files.Position(pos)
		n := len(dials) + 1
		dials[dialKey(filepath.Base(path), at.Line, at.Column, to.String())] = n
		return &ast.BasicLit{Kind: token.INT, Value: fmt.Sprint(n)}
	}
	asks := func(n ast.Expr) ast.Expr {
		return &ast.BinaryExpr{X: ast.NewIdent("mutationDial"), Op: token.EQL, Y: n}
	}
	made := map[ast.Node]bool{}
	boolean := func(body ...ast.Stmt) ast.Expr {
		return &ast.FuncLit{
			Type: &ast.FuncType{Params: &ast.FieldList{}, Results: &ast.FieldList{List: []*ast.Field{{Type: ast.NewIdent("bool")}}}},
			Body: &ast.BlockStmt{List: body},
		}
	}
	answer := func(x ast.Expr) ast.Stmt { return &ast.ReturnStmt{Results: []ast.Expr{x}} }
	rewritten := astutil.Apply(file, func(c *astutil.Cursor) bool {
		if d, ok := c.Node().(*ast.GenDecl); ok && d.Tok == token.CONST {
			return false
		}
		return true
	}, func(c *astutil.Cursor) bool {
		switch n := c.Node().(type) {
		case *ast.BinaryExpr:
			to := dialed[n.Op]
			if made[n] || len(to) == 0 {
				return true
			}
			var x ast.Expr
			if n.Op == token.LAND || n.Op == token.LOR {
				name := map[token.Token]string{token.LAND: "mutationAnd", token.LOR: "mutationOr"}[n.Op]
				x = &ast.CallExpr{Fun: ast.NewIdent(name), Args: []ast.Expr{number(n.OpPos, to[0]), boolean(answer(n.X)), boolean(answer(n.Y))}}
			} else {
				var body []ast.Stmt
				for _, op := range to {
					ask := asks(number(n.OpPos, op))
					made[ask] = true
					body = append(body, &ast.IfStmt{Cond: ask, Body: &ast.BlockStmt{List: []ast.Stmt{answer(&ast.BinaryExpr{X: n.X, Op: op, Y: n.Y})}}})
				}
				body = append(body, answer(&ast.BinaryExpr{X: n.X, Op: n.Op, Y: n.Y}))
				x = &ast.CallExpr{Fun: boolean(body...)}
			}
			c.Replace(x)
		case *ast.IncDecStmt:
			if c.Index() < 0 {
				return true // the head of a for or an if takes simple statements alone
			}
			op := dialed[n.Tok][0]
			c.Replace(&ast.IfStmt{
				Cond: asks(number(n.TokPos, op)),
				Body: &ast.BlockStmt{List: []ast.Stmt{&ast.IncDecStmt{X: n.X, Tok: op}}},
				Else: &ast.BlockStmt{List: []ast.Stmt{&ast.IncDecStmt{X: n.X, Tok: n.Tok}}},
			})
		}
		return true
	})
	var out bytes.Buffer
	if err := format.Node(&out, token.NewFileSet(), rewritten); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
