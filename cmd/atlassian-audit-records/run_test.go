package main

import (
	"strings"
	"testing"
)

func TestRunSaysThatItsProgramIsNotInstalled(t *testing.T) {
	t.Parallel()
	got := start(t, "", "run", "--conf", "x")
	if got.Status != 1 || !strings.HasPrefix(got.Err, "Error: atlassian-audit-records-run") || !strings.Contains(got.Err, " is not installed in ") {
		t.Errorf("outcome %+v", got)
	}
}
