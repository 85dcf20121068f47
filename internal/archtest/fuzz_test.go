package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheTableOfFuzzTargetsIsTrue: docs/testing.md names no target that is not
// there.
func TestTheTableOfFuzzTargetsIsTrue(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\|.*\\| `([^`]+)` (Fuzz[\\w, ]+) \\|$").FindAllStringSubmatch(string(text), -1)
	if len(rows) < 20 {
		t.Fatalf("%d rows were found", len(rows))
	}
	for _, row := range rows {
		files, err := filepath.Glob(filepath.Join("../..", row[1], "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		var source strings.Builder
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(text)
		}
		for target := range strings.SplitSeq(row[2], ", ") {
			if !strings.Contains(source.String(), "\nfunc "+target+"(f *testing.F)") {
				t.Errorf("%s has no %s", row[1], target)
			}
		}
	}
}
