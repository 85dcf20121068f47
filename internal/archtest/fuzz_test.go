package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheTableOfFuzzTargetsIsTrue: docs/testing.md names every fuzz target of every
// module, and none that is not there.
func TestTheTableOfFuzzTargetsIsTrue(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, row := range regexp.MustCompile("(?m)^\\|.*\\| `([^`]+)` (Fuzz[\\w, ]+) \\|$").FindAllStringSubmatch(string(text), -1) {
		for target := range strings.SplitSeq(row[2], ", ") {
			named = append(named, row[1]+" "+target)
		}
	}
	var there []string
	target := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\)`)
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel("../..", filepath.Dir(path))
		for _, m := range target.FindAllStringSubmatch(string(source), -1) {
			there = append(there, filepath.ToSlash(folder)+" "+m[1])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(there) < 40 {
		t.Fatalf("%d targets were found", len(there))
	}
	for _, name := range named {
		if !slices.Contains(there, name) {
			t.Errorf("docs/testing.md names %s, which is not there", name)
		}
	}
	for _, name := range there {
		if !slices.Contains(named, name) {
			t.Errorf("docs/testing.md does not name %s", name)
		}
	}
}
