package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The module of the program of `run`, seen from here and by its path in ours.
const (
	senderPath = "cmd/atlassian-audit-records-run"
	senderDir  = "../../" + senderPath
	sharedPath = "cmd/atlassian-audit-records-shared"
	sharedDir  = "../../" + sharedPath
)

// listed is what `go list -json` tells of a package.
type listed struct {
	ImportPath   string
	Dir          string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
	Deps         []string
	TestImports  []string
	XTestImports []string
}

func TestArrows(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"linux", "darwin", "windows"} {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			for _, broken := range check(list(t, platform)) {
				t.Error(broken)
			}
		})
	}
}

func TestEveryRuleNamesAModuleThatIsUsed(t *testing.T) {
	t.Parallel()
	out := run(t, nil, "go", "list", "-m", "-f", "{{.Path}}", "all")
	used := strings.Fields(string(out))
	for name := range owners {
		if !slices.Contains(used, name) {
			t.Errorf("rules_test.go has a rule for the module %s, which go.mod does not know any more: remove the rule", name)
		}
	}
}

// modulesOfTheirOwn are the parts of docs/dependencies.md that are about a module of
// its own, by their headings.
var modulesOfTheirOwn = map[string]string{
	"## In the program of `run`":        senderDir,
	"## In the program of shared state": sharedDir,
}

func TestEveryDependencyIsExplained(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "dependencies.md"))
	if err != nil {
		t.Fatalf("reading the page that explains the dependencies: %v", err)
	}
	// parts are the page's, by their headings.
	parts := map[string]string{}
	rest := string(page)
	for heading := range modulesOfTheirOwn {
		before, part, ok := strings.Cut(rest, heading+"\n")
		if !ok {
			t.Fatalf("docs/dependencies.md has no part %q", heading)
		}
		part, after, _ := strings.Cut(part, "\n## ")
		parts[heading] = part
		rest = before + "\n## " + after
	}
	type described struct{ dir, text string }
	all := []described{{filepath.Join("..", ".."), rest}}
	for heading, dir := range modulesOfTheirOwn {
		all = append(all, described{dir, parts[heading]})
	}
	for _, m := range all {
		required := requirements(t, m.dir)
		explained := map[string]bool{}
		for line := range strings.Lines(m.text) {
			if path, _, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` |"); ok && strings.HasPrefix(line, "| `") {
				explained[path] = true
				if !required[path] {
					t.Errorf("docs/dependencies.md explains %s, which the go.mod of %s does not require any more: remove its line", path, m.dir)
				}
			}
		}
		for path := range required {
			if !explained[path] {
				t.Errorf("docs/dependencies.md does not explain %s, which the go.mod of %s requires: what for, why this one, what it pulls in, its licence", path, m.dir)
			}
		}
	}
}

// requirements are the modules that a go.mod requires directly, ours apart.
func requirements(t *testing.T, dir string) map[string]bool {
	t.Helper()
	var file struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(run(t, nil, "go", "mod", "edit", "-json", filepath.Join(dir, "go.mod")), &file); err != nil {
		t.Fatalf("reading go.mod: %v", err)
	}
	out := map[string]bool{}
	for _, r := range file.Require {
		if !r.Indirect && r.Path != module {
			out[r.Path] = true
		}
	}
	if len(out) == 0 {
		t.Fatalf("the go.mod of %s requires nothing", dir)
	}
	return out
}

// TestTheAgentsModulesAreOfOneRelease keeps every module of the Agent's at one
// version, in both modules: others were never tested with each other.
func TestTheAgentsModulesAreOfOneRelease(t *testing.T) {
	t.Parallel()
	const release = "v0.77.0"
	n := 0
	for _, dir := range []string{filepath.Join("..", ".."), senderDir} {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil {
			t.Fatalf("reading go.mod: %v", err)
		}
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require ")); len(fields) > 1 && strings.HasPrefix(fields[0], agents) {
				n++
				if fields[1] != release {
					t.Errorf("%s is required at %s in %s, and the others at %s", fields[0], fields[1], dir, release)
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d modules of the Agent's were found", n)
	}
}

// TestTheOtherProgramsArrows holds the modules of the other programs to what they may
// import of ours: they are commands like the others. The one of `run` collects
// through the program that collects alone, and the one of shared state knows
// nothing of what is shared.
func TestTheOtherProgramsArrows(t *testing.T) {
	t.Parallel()
	for _, m := range []struct {
		dir, path string
		allowed   []string
	}{
		{senderDir, senderPath, []string{"check", "pkg/agent", "pkg/auth"}},
		{sharedDir, sharedPath, []string{"pkg/shared"}},
	} {
		for _, platform := range []string{"linux", "darwin", "windows"} {
			for _, p := range listIn(t, m.dir, platform, "./...") {
				for _, i := range p.Imports {
					ours, ok := strings.CutPrefix(i, module+"/")
					if ok && !slices.Contains(m.allowed, ours) && !strings.HasPrefix(ours, m.path+"/internal/") {
						t.Errorf("%s imports %s: this program may import %s, and its own packages", p.ImportPath, ours, strings.Join(m.allowed, ", "))
					}
				}
			}
		}
	}
}

// check is every arrow that points the wrong way among the packages, as one
// sentence each, sorted.
func check(packages []listed) []string {
	var broken []string
	found := map[string]bool{}
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		key, r, ok := roomOf(name)
		found[key] = true
		if !ok {
			broken = append(broken, fmt.Sprintf("%s has no rule: add it to rules_test.go, and say what it may import and why", name))
			continue
		}
		for _, i := range p.Imports {
			broken = append(broken, direct(name, key, r, i)...)
		}
		for _, d := range p.Deps {
			if why, bad := r.neverAtAll[d]; bad {
				broken = append(broken, fmt.Sprintf("%s reaches %s: %s", name, d, why))
			}
		}
		for _, i := range append(slices.Clone(p.TestImports), p.XTestImports...) {
			broken = append(broken, ofTest(name, key, i)...)
		}
	}
	for key := range rooms {
		if !found[key] {
			broken = append(broken, fmt.Sprintf("rules_test.go has a rule for %s, which does not exist any more: remove the rule", key))
		}
	}
	slices.Sort(broken)
	return slices.Compact(broken)
}

// direct judges one import in a file that is not a test.
func direct(name, key string, r room, imported string) []string {
	var broken []string
	if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
		to, target, _ := roomOf(ours)
		switch {
		case to == key:
		case target.forTests && !r.forTests && !strings.HasPrefix(name, "cmd/"):
			broken = append(broken, fmt.Sprintf("%s imports %s outside of a test: it would be part of the program", name, ours))
		case !slices.Contains(r.imports, to):
			broken = append(broken, fmt.Sprintf("%s imports %s: %s", name, ours, r.why))
		}
		return broken
	}
	for bad, why := range r.never {
		if imported == bad || strings.HasSuffix(bad, "/") && strings.HasPrefix(imported, bad) {
			broken = append(broken, fmt.Sprintf("%s imports %s: %s", name, imported, why))
		}
	}
	if imported == "testing" && !r.forTests {
		broken = append(broken, fmt.Sprintf("%s imports testing outside of a test: it would be part of the program", name))
	}
	o, tree := ownerOf(imported)
	switch {
	case tree == "" && strings.HasPrefix(imported, agents):
		broken = append(broken, fmt.Sprintf("%s imports %s: only check, cmd and pkg/agent may know the Agent's modules; add a rule "+
			"for this one to rules_test.go", name, imported))
	case tree == "" || slices.Contains(o.rooms, key) || o.testsOnly && r.forTests:
	default:
		broken = append(broken, fmt.Sprintf("%s imports %s: %s", name, imported, o.why))
	}
	return broken
}

// ofTest judges one import of a test file. Tests may wire the rooms together,
// but two walls hold for them too.
func ofTest(name, key, imported string) []string {
	ours, ok := strings.CutPrefix(imported, module+"/")
	if !ok {
		return nil
	}
	to, _, _ := roomOf(ours)
	switch {
	case to == key:
	case key == "pkg/atlassian/atlassiantest", key == "pkg/audit":
		return []string{fmt.Sprintf("a test of %s imports %s: %s", name, ours, rooms[key].why)}
	case strings.HasPrefix(ours, "cmd/"):
		return []string{fmt.Sprintf("a test of %s imports %s: %s", name, ours, rooms["cmd/atlassian-audit-records"].why)}
	}
	return nil
}

// roomOf is the room that a package of ours belongs to: the longest entry that
// is the package or stands above it. A package named like spooltest is a room
// of its own, for tests, that may also import the room that it stands in.
func roomOf(name string) (key string, r room, ok bool) {
	for k, candidate := range rooms {
		if (name == k || strings.HasPrefix(name, k+"/")) && len(k) > len(key) {
			key, r, ok = k, candidate, true
		}
	}
	if ok && key != name && strings.HasSuffix(name, "test") {
		return name, room{imports: append(slices.Clone(r.imports), key), why: r.why, forTests: true}, true
	}
	return key, r, ok
}

// ownerOf is the rule for a foreign package; tree is empty when there is none.
func ownerOf(imported string) (o owner, tree string) {
	for k, candidate := range owners {
		if (imported == k || strings.HasPrefix(imported, k+"/")) && len(k) > len(tree) {
			o, tree = candidate, k
		}
	}
	return o, tree
}

// list is every package of ours as it is built for a platform.
func list(t *testing.T, platform string) []listed {
	t.Helper()
	seeSources(t)
	return listIn(t, ".", platform, module+"/...")
}

// listIn is what go list says in a folder.
func listIn(t *testing.T, dir, platform, pattern string) []listed {
	t.Helper()
	out := run(t, []string{"GOOS=" + platform, "GOARCH=amd64", "CGO_ENABLED=0"}, "go", "list", "-C", dir, "-json", pattern)
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatalf("reading what go list wrote: %v", err)
		}
		packages = append(packages, p)
	}
}

// seeSources opens every folder of ours: go test repeats a cached result unless
// something changed that the test itself looked at, and what go list looks at
// does not count.
func seeSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join("..", ".."), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == ".git" || d.Name() == "bin") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a neighbour's temporary folder may vanish meanwhile
		t.Fatalf("looking at the sources: %v", err)
	}
}

func run(t *testing.T, env []string, name string, args ...string) []byte {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return out
}

// TestTheTestItself turns arrows round and expects to hear of each.
func TestTheTestItself(t *testing.T) {
	t.Parallel()
	sound := func() map[string]listed {
		all := map[string]listed{}
		for key, r := range rooms {
			p := listed{ImportPath: module + "/" + key}
			for _, i := range r.imports {
				p.Imports = append(p.Imports, module+"/"+i)
			}
			all[key] = p
		}
		return all
	}
	tests := map[string]struct {
		room   string
		change func(*listed)
		want   []string
	}{
		"a sound tree has nothing to say": {"pkg/audit", func(*listed) {}, nil},
		"siblings do not import each other": {
			"pkg/collect", func(p *listed) { p.Imports = append(p.Imports, module+"/pkg/state") },
			[]string{"pkg/collect imports pkg/state: " + rooms["pkg/collect"].why},
		},
		"an arrow does not turn round": {
			"pkg/audit", func(p *listed) { p.Imports = append(p.Imports, module+"/check") },
			[]string{"pkg/audit imports check: " + rooms["pkg/audit"].why},
		},
		"the pure room opens no file": {
			"pkg/audit", func(p *listed) { p.Imports = append(p.Imports, "os") },
			[]string{"pkg/audit imports os: " + rooms["pkg/audit"].never["os"]},
		},
		"a whole tree may be forbidden": {
			"pkg/audit", func(p *listed) { p.Imports = append(p.Imports, "golang.org/x/sys/unix") },
			[]string{"pkg/audit imports golang.org/x/sys/unix: " + rooms["pkg/audit"].never["golang.org/x/sys/"]},
		},
		"the network is not reached through others either": {
			"pkg/collect", func(p *listed) { p.Deps = append(p.Deps, "net/http") },
			[]string{"pkg/collect reaches net/http: " + rooms["pkg/collect"].neverAtAll["net/http"]},
		},
		"the simulated site stays out of the check": {
			"check", func(p *listed) { p.Imports = append(p.Imports, module+"/pkg/atlassian/atlassiantest") },
			[]string{"check imports pkg/atlassian/atlassiantest outside of a test: it would be part of the program"},
		},
		"the simulated site shares not even the vocabulary, not even in its tests": {
			"pkg/atlassian/atlassiantest", func(p *listed) {
				p.Imports = append(p.Imports, module+"/pkg/audit")
				p.XTestImports = append(p.XTestImports, module+"/pkg/atlassian")
			},
			[]string{
				"a test of pkg/atlassian/atlassiantest imports pkg/atlassian: " + rooms["pkg/atlassian/atlassiantest"].why,
				"pkg/atlassian/atlassiantest imports pkg/audit: " + rooms["pkg/atlassian/atlassiantest"].why,
			},
		},
		"a test of the client may use the simulated site": {
			"pkg/atlassian", func(p *listed) { p.TestImports = append(p.TestImports, module+"/pkg/atlassian/atlassiantest") }, nil,
		},
		"a module has its owner": {
			"pkg/spool", func(p *listed) { p.Imports = append(p.Imports, "golang.org/x/oauth2/clientcredentials") },
			[]string{"pkg/spool imports golang.org/x/oauth2/clientcredentials: " + owners["golang.org/x/oauth2"].why},
		},
		"a test library stays in tests": {
			"check", func(p *listed) { p.Imports = append(p.Imports, "github.com/google/go-cmp/cmp", "testing") },
			[]string{
				"check imports github.com/google/go-cmp/cmp: " + owners["github.com/google/go-cmp"].why,
				"check imports testing outside of a test: it would be part of the program",
			},
		},
		"an Agent's module without a rule is asked about": {
			"pkg/state", func(p *listed) { p.Imports = append(p.Imports, agents+"pkg/config/model") },
			[]string{"pkg/state imports " + agents + "pkg/config/model: only check, cmd and pkg/agent may know the Agent's modules; " +
				"add a rule for this one to rules_test.go"},
		},
		"a package without a rule is asked about": {
			"pkg/audit", func(p *listed) { p.ImportPath = module + "/pkg/other" },
			[]string{
				"pkg/other has no rule: add it to rules_test.go, and say what it may import and why",
				"rules_test.go has a rule for pkg/audit, which does not exist any more: remove the rule",
			},
		},
		"a package for tests is a room of its own": {
			"pkg/spool", func(p *listed) {
				p.Imports = append(p.Imports, module+"/pkg/spool/spooltest")
			},
			[]string{"pkg/spool imports pkg/spool/spooltest outside of a test: it would be part of the program"},
		},
		"a package below a room follows its rule": {
			"pkg/spool", func(p *listed) {
				p.ImportPath += "/internal/files"
				p.Imports = []string{module + "/pkg/state", module + "/pkg/spool"}
			},
			[]string{"pkg/spool/internal/files imports pkg/state: " + rooms["pkg/spool"].why},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := sound()
			changed := all[tt.room]
			tt.change(&changed)
			all[tt.room] = changed
			var packages []listed
			for _, p := range all {
				packages = append(packages, p)
			}
			if diff := cmp.Diff(tt.want, check(packages)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
