package archtest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDecisionsAreNumbered: each file of docs/adr has the next number, in its name
// and in its heading.
func TestDecisionsAreNumbered(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join("..", "..", "docs", "adr", "*.md"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("docs/adr holds %v (%v)", paths, err)
	}
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		if n := i + 1; !strings.HasPrefix(name, fmt.Sprintf("%04d-", n)) || !strings.HasPrefix(string(text), fmt.Sprintf("# %d. ", n)) {
			t.Errorf("docs/adr/%s stands in place %d of the list, and begins with %.20q: give each decision a number of its own, in name and heading", name, n, text)
		}
	}
}
