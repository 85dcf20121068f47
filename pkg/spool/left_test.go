package spool_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/spool/spooltest"
)

// TestLeft: a stream is left where all of its files are old, wherever they are.
func TestLeft(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	owner := func(site string) spool.Owner { return spool.Owner{Home: site, Product: audit.Jira} }
	left := func(since time.Time) []spool.Owner {
		t.Helper()
		out, err := places.Left(d.fs, since)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := left(d.now); got != nil {
		t.Errorf("where there is no folder: %v", got)
	}
	begun := d.now
	d.site = "zebra.atlassian.net"
	d.write(0)
	d.now = d.now.Add(time.Hour)
	d.site, d.file = "alpha.atlassian.net", ""
	d.write(0)
	d.now = d.now.Add(time.Hour)
	d.site, d.file = "mixed.atlassian.net", ""
	d.write(0)
	mixed := d.now
	d.now = d.now.Add(time.Hour)
	d.file = ""
	d.write(0)
	d.fs.WriteFile(places.Spool+"/theirs.jsonl", []byte("no line of ours\n"))
	for name, row := range map[string]struct {
		since time.Time
		want  []spool.Owner
	}{
		"nothing is older than the first":                 {begun, nil},
		"the first is older than a moment later":          {begun.Add(time.Millisecond), []spool.Owner{owner("zebra.atlassian.net")}},
		"one with a new file is not left":                 {mixed.Add(time.Millisecond), []spool.Owner{owner("alpha.atlassian.net"), owner("zebra.atlassian.net")}},
		"in the end all are, in the order of their names": {d.now.Add(time.Hour), []spool.Owner{owner("alpha.atlassian.net"), owner("mixed.atlassian.net"), owner("zebra.atlassian.net")}},
	} {
		if diff := cmp.Diff(row.want, left(row.since)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestLeftWithNothingButWhatWasStaged: by a run that was killed, and none came after it.
func TestLeftWithNothingButWhatWasStaged(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	d.write(0)
	if err := d.fs.Rename(places.Spool+"/"+d.file, places.Spool+"/a.jira.staged"); err != nil {
		t.Fatal(err)
	}
	for since, want := range map[time.Time][]spool.Owner{
		d.now:                  nil,
		d.now.Add(time.Minute): {{Home: d.site, Product: audit.Jira}},
	} {
		got, err := places.Left(d.fs, since)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("since %v: %v (-want +got):\n%s", since, err, diff)
		}
	}
}

// TestWhoseALongLineIs: a line may be longer than what is read at first, and a
// file without an end of line is nobody's.
func TestWhoseALongLineIs(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		text string
		want int
	}{
		"a short line":                   {line(500), 1},
		"as long as is read at first":    {line(8 << 10), 1},
		"longer than is read at first":   {line(8<<10 + 1), 1},
		"the longest that a line may be": {line(audit.MaxLine), 1},
		"without its end":                {strings.TrimSuffix(line(500), "\n"), 0},
		"without any end":                {strings.Repeat("x", 3*audit.MaxLine), 0},
		"nothing":                        {"", 0},
	} {
		m := spooltest.New()
		m.MkdirAll(places.Spool)
		m.WriteFile(places.Spool+"/20261123T100000.000Z-0000000000000001.jsonl", []byte(row.text))
		left, err := places.Left(m, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
		if err != nil || len(left) != row.want {
			t.Errorf("%s: %v (%v), want %d streams", name, left, err, row.want)
		}
	}
}

// line is one of n bytes, its end included.
func line(n int) string {
	l, _ := audit.Line(nil, audit.Record{Raw: []byte(`{"id":1}`), Millis: 1, Dated: true}, "s:jira:1",
		audit.LineOptions{Stream: audit.Stream{Site: "s", Product: audit.Jira}, NowMillis: 1})
	pad := n - len(l) - len(`,"p":""`)
	return strings.TrimSuffix(string(l), "}\n") + `,"p":"` + strings.Repeat("x", pad) + "\"}\n"
}

// TestLeftIsWhatWasBegunAndWrittenLongAgo: a file that is still appended to is
// not left, nor is one that was begun just now, whatever its last write says.
func TestLeftIsWhatWasBegunAndWrittenLongAgo(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		written time.Duration // after since
		begun   time.Duration
		left    int
	}{
		"begun and written before":           {-time.Hour, -2 * time.Hour, 1},
		"begun before, and written since":    {time.Hour, -2 * time.Hour, 0},
		"begun since, by a clock that jumps": {-time.Hour, 2 * time.Hour, 0},
		"begun and written since":            {2 * time.Hour, time.Hour, 0},
	} {
		each(t, name, func(t *testing.T, d *depot) {
			since := d.now
			d.now = since.Add(row.begun)
			d.write(0)
			if err := d.fs.Chtimes(places.Spool+"/"+d.file, since.Add(row.written)); err != nil {
				t.Fatal(err)
			}
			if left, err := places.Left(d.fs, since); err != nil || len(left) != row.left {
				t.Errorf("left are %v (%v), want %d", left, err, row.left)
			}
		})
	}
}
