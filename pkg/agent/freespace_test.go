package agent

import (
	"path/filepath"
	"testing"
)

func TestFreeSpace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if free, err := FreeSpace(dir); err != nil || free <= 0 {
		t.Errorf("%d bytes are free (%v)", free, err)
	}
	if _, err := FreeSpace(filepath.Join(dir, "missing")); err == nil {
		t.Error("a path that does not exist has free space")
	}
}
