package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPreviewOfTheSpool(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conf := s.conf("")
	page := filepath.Join(t.TempDir(), "page.html")
	preview := func(args ...string) outcome {
		t.Helper()
		return start(t, "", append([]string{"preview", "--spool", "--conf", conf, "--run-path", s.run, "--output", page}, args...)...)
	}
	got := preview()
	if got.Status != 1 || !strings.Contains(got.Err, "no record of the last 168h0m0s lies below "+s.run) {
		t.Errorf("before anything is there: %+v", got)
	}
	if _, err := os.Stat(page); !os.IsNotExist(err) {
		t.Errorf("a page was written all the same: %v", err)
	}
	if got := start(t, "", "check", "--conf", conf, "--run-path", s.run); got.Status != 0 {
		t.Fatalf("check: %+v", got)
	}
	before := s.spooledLines()
	n := len(before)
	if diff := cmp.Diff(outcome{Out: fmt.Sprintf("%d records in %s: open it in a browser.\n", n, page)}, preview()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	info, err := os.Stat(page)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the page has the mode %v", info.Mode())
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), fmt.Sprintf(`"records":%d`, n)) {
		t.Error("the page does not show the records")
	}
	if got := preview("--output", "-"); got.Status != 0 || !strings.HasPrefix(got.Out, "<!doctype html>") {
		t.Errorf("to the standard output: %d, %.60q, %s", got.Status, got.Out, got.Err)
	}
	if got := preview("--records", "5"); got.Status != 0 || !strings.HasPrefix(got.Out, "5 records in ") {
		t.Errorf("five records: %+v", got)
	}
	if got := preview("--output", filepath.Join(t.TempDir(), "none", "page.html")); got.Status != 1 || !strings.Contains(got.Err, "write the page") {
		t.Errorf("a folder that is not there: %+v", got)
	}
	if diff := cmp.Diff(before, s.spooledLines()); diff != "" {
		t.Errorf("the spool was changed:\n%s", diff)
	}
}

func TestPreviewUsedWrongly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sentence string
		args     []string
		want     string
	}{
		{"a time without the spool", []string{"--since", "1h"}, "--since goes with --spool"},
		{"a run path without the spool", []string{"--run-path", "/x"}, "--run-path goes with --spool"},
		{"no time at all", []string{"--spool", "--since", "0s"}, "must be more than 0"},
		{"no records", []string{"--spool", "--records", "-1"}, "must be more than 0"},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			t.Parallel()
			if got := start(t, "", append([]string{"preview"}, tt.args...)...); got.Status != 2 || !strings.Contains(got.Err, tt.want) {
				t.Errorf("%+v, want %q", got, tt.want)
			}
		})
	}
}

func TestEscapedValuesAreOneValue(t *testing.T) {
	t.Parallel()
	if got, want := escapeQuery(`712020:a-b (x) "y" *`), `712020\:a-b\ \(x\)\ \"y\"\ \*`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
