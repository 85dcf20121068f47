package preview

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// spoolOf is a folder with these files.
func spoolOf(t *testing.T, files map[string]string) string {
	t.Helper()
	base := t.TempDir()
	for name, text := range files {
		path := filepath.Join(base, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return base
}

func TestSpooled(t *testing.T) {
	t.Parallel()
	base := spoolOf(t, map[string]string{
		"spool/jira-audit-records/20260302T100000.000Z-a.jsonl":                           "d\ne\nunfinished",
		"spool/confluence-audit-records/20260302T090000.000Z-b.jsonl":                     "c\n",
		"late/jira-audit-records/20260302T080000.000Z-c.jsonl.taken-20260302T090000.000Z": "b\n",
		"delivered/jira-audit-records/20260302T070000.000Z-d.jsonl":                       "a\n",
		"delivered/jira-audit-records/notes.json":                                         "{}\n",
		"state/jira/other.jsonl":                                                          "no\n",
	})
	for _, tt := range []struct {
		sentence string
		most     int
		want     []string
		left     bool
	}{
		{"all of them, the newest first", 9, []string{"e", "d", "c", "b", "a"}, false},
		{"exactly as many as there are", 5, []string{"e", "d", "c", "b", "a"}, false},
		{"the newest of some files", 3, []string{"e", "d", "c"}, true},
		{"the newest of one file", 1, []string{"e"}, true},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			t.Parallel()
			got, err := Spooled(base, tt.most)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, l := range got.Lines {
				lines = append(lines, string(l.Text[:len(l.Text)-1]))
			}
			if d := cmp.Diff(tt.want, lines); d != "" || got.Left != tt.left {
				t.Errorf("left out: %v (-want +got):\n%s", got.Left, d)
			}
		})
	}
}

func TestNoSpoolIsAnEmptyOne(t *testing.T) {
	t.Parallel()
	got, err := Spooled(filepath.Join(t.TempDir(), "nothing"), 9)
	if err != nil || len(got.Lines) != 0 || got.Left {
		t.Errorf("%+v, %v", got, err)
	}
}
