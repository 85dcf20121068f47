package spool_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
)

// TestWhatIsSpooledAgain is every whole line behind what was acknowledged, once,
// whatever else lies there.
func TestWhatIsSpooledAgain(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3<<20)
	for name, row := range map[string]struct {
		// behind is what lies behind three lines of ours in the file; acked is how
		// much of it all was acknowledged, counted from the end of the first line.
		behind string
		acked  int
		// want is in what follows the third line, and ours how many of ours come back.
		want string
		ours int
	}{
		"three lines, of which one was acknowledged":    {"", 0, "", 2},
		"the first was acknowledged but for its end":    {"", -1, "", 3},
		"the second was acknowledged but for its end":   {"", 100, "", 2},
		"what a power failure left":                     {"\x00\x00\x00\n", 0, "", 2},
		"and without an end":                            {"\x00\x00", 0, "", 2},
		"the beginning of a line":                       {`{"id":3,"timest`, 0, "", 2},
		"a line of somebody else":                       {"theirs\n", 0, "theirs\n", 2},
		"an empty line":                                 {"\n\n", 0, "", 2},
		"a whole line that lacks its end":               {strings.TrimSuffix(line(500), "\n"), 0, `"late":true`, 2},
		"a line of ours that is read in several parts":  {line(700 << 10), 0, strings.Repeat("x", 699<<10), 2},
		"a line that is longer than any of ours may be": {long + "\n", 0, "", 2},
	} {
		each(t, name, func(t *testing.T, d *depot) {
			d.agent.Down = true
			d.write(17*time.Hour, 17*time.Hour, 17*time.Hour)
			path := places.Spool + "/" + d.file
			data, _ := d.fs.ReadFile(path)
			first := strings.IndexByte(string(data), '\n') + 1
			d.fs.WriteFile(path, append(slices.Clone(data), row.behind...))
			d.agent.Memory[path] = spool.Offset{Bytes: int64(first + row.acked)}
			d.agent.Flush()
			d.file = ""
			d.runs(1)
			d.now = d.now.Add(31 * time.Minute)
			d.runs(5)
			if d.did.Renewed != 1 {
				t.Fatalf("it did %+v", d.did)
			}
			var got []byte
			for _, name := range d.in(places.Spool) {
				got, _ = d.fs.ReadFile(places.Spool + "/" + name)
			}
			var ours, others []string
			for l := range strings.Lines(string(got)) {
				if s, ok := audit.ReadLine([]byte(l)); ok && s.Home == d.site {
					ours = append(ours, s.RecordID)
				} else {
					others = append(others, l)
				}
			}
			if diff := cmp.Diff(d.ids[3-row.ours:], ours); diff != "" {
				t.Errorf("ours (-want +got):\n%s", diff)
			}
			if strings.HasPrefix(row.behind, long) {
				return // what of it comes back is no line of anybody's
			}
			if got := strings.Join(others, ""); !strings.Contains(got, row.want) || (got == "") != (row.want == "") {
				t.Errorf("others: %.200q, want %.200q", got, row.want)
			}
		})
	}
}

// TestNothingIsSpooledAgainWhereNothingIsLeft: what was acknowledged while the
// file was out of the way leaves no empty file behind.
func TestNothingIsSpooledAgainWhereNothingIsLeft(t *testing.T) {
	t.Parallel()
	for name, junk := range map[string]string{"nothing but what a power failure left": "\x00\x00\x00", "nothing at all": ""} {
		each(t, name, func(t *testing.T, d *depot) {
			d.agent.Down = true
			d.write(17*time.Hour, 17*time.Hour)
			path, end := places.Spool+"/"+d.file, d.end
			data, _ := d.fs.ReadFile(path)
			d.fs.WriteFile(path, append(slices.Clone(data), junk...))
			d.file = ""
			d.runs(1)
			d.now = d.now.Add(31 * time.Minute)
			d.runs(1)
			d.agent.Memory[path] = spool.Offset{Bytes: end}
			d.agent.Flush()
			d.now = d.now.Add(2 * time.Minute)
			d.runs(1)
			if d.did.TakenOut != 1 || d.did.Renewed != 1 || d.did.Late != 0 {
				t.Errorf("it did %+v", d.did)
			}
			if got := d.in(places.Spool); len(got) != 0 {
				t.Errorf("in the spool: %v", got)
			}
			if len(d.in(places.Late)) != 0 || len(d.in(places.Delivered)) != 1 {
				t.Errorf("taken out %v, delivered %v", d.in(places.Late), d.in(places.Delivered))
			}
		})
	}
}
