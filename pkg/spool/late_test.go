package spool_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/spool/spooltest"
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

// TestARestThatIsThereTellsWhereItBegins: a run that is killed when it has spooled the
// rest again leaves the delivered lines in Late. Whatever the Agent says of the file
// when the next one comes, these are kept for a replay, and no others.
func TestARestThatIsThereTellsWhereItBegins(t *testing.T) {
	t.Parallel()
	lines := func(n int) func(ends []int64) int64 { return func(ends []int64) int64 { return ends[n] } }
	for name, row := range map[string]struct {
		// before is what was acknowledged when the rest was spooled again, and after
		// when the file is looked at anew.
		before, after func(ends []int64) int64
		// lose: the notes are lost, too.
		lose bool
		// want is how many lines are kept as delivered.
		want int
	}{
		"the registry says the same":                             {lines(2), lines(2), false, 2},
		"the registry is lost":                                   {lines(2), lines(0), false, 2},
		"the registry and the notes are lost":                    {lines(2), lines(0), true, 2},
		"the registry is an old one, and the notes are lost":     {lines(2), lines(1), true, 2},
		"the registry says more":                                 {lines(2), lines(3), true, 2},
		"the registry says that all was delivered":               {lines(2), lines(4), true, 2},
		"nothing was delivered, and nothing is":                  {lines(0), lines(0), true, 0},
		"nothing was delivered, and something is by now":         {lines(0), lines(1), true, 0},
		"what was acknowledged ended in the midst of the second": {func(ends []int64) int64 { return ends[1] + 9 }, lines(0), true, 1},
	} {
		each(t, name, func(t *testing.T, d *depot) {
			d.agent.Down = true
			d.write(17*time.Hour, 17*time.Hour, 17*time.Hour, 17*time.Hour)
			path := places.Spool + "/" + d.file
			data, _ := d.fs.ReadFile(path)
			ends := []int64{0}
			for l := range strings.Lines(string(data)) {
				ends = append(ends, ends[len(ends)-1]+int64(len(l)))
			}
			says := func(bytes int64) {
				delete(d.agent.Memory, path)
				if bytes > 0 {
					d.agent.Memory[path] = spool.Offset{Bytes: bytes}
				}
				d.agent.Flush()
			}
			says(row.before(ends))
			d.file = ""
			d.runs(1)
			d.now = d.now.Add(31 * time.Minute)
			d.runs(1)
			if len(d.in(places.Late)) != 1 {
				t.Fatal("nothing was taken out")
			}
			d.fs.Inject(func(op spooltest.Op) error {
				if (op.Kind == "Chtimes" || op.Kind == "Remove") && strings.HasPrefix(op.Path, places.Late) && strings.Contains(op.Path, ".taken-") {
					return errPower
				}
				return nil
			})
			d.now = d.now.Add(2 * time.Minute)
			if _, err := d.run(); !errors.Is(err, errPower) {
				t.Fatalf("it was to end before the file is brought away: %v", err)
			}
			d.fs.Inject(nil)
			if row.lose {
				if err := d.fs.Remove(base + "/state/notes.json"); err != nil {
					t.Fatal(err)
				}
			}
			says(row.after(ends))
			d.runs(1)
			if got := d.in(places.Late); len(got) > 0 {
				t.Fatalf("left behind: %v", got)
			}
			count := func(folder string) (n int) {
				for _, of := range d.lines(folder) {
					n += len(of)
				}
				return n
			}
			if got := count(places.Spool); got != 4-row.want {
				t.Errorf("%d lines are in the spool again, want %d", got, 4-row.want)
			}
			_, found := d.find(time.UnixMilli(0), d.now, false)
			kept := 0
			for _, p := range found.Parts {
				kept += p.Lines
			}
			if kept != row.want {
				t.Errorf("%d lines are kept as delivered, want %d (%v)", kept, row.want, d.in(places.Delivered))
			}
		})
	}
}
