package collect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/collect"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/spool/spooltest"
	"atlassian_audit_records/pkg/state"
)

// The promise, proven with the real client, state and spool against a simulated
// Atlassian. Everything runs in a synctest bubble: all clocks are its clock, so
// that an outage of three days passes at once.

// interval is the time between two runs.
const interval = time.Minute

// spans of time that a machine reads again, as by default, but for the first
// look-back, which reaches back far enough for late records.
var usual = collect.Options{
	InitialLookback:   5 * 24 * time.Hour,
	Lookback:          15 * time.Minute,
	ReconcileWindow:   48 * time.Hour,
	ReconcileInterval: 6 * time.Hour,
	PageSize:          20,
	Service:           "test",
	Tags:              []string{"env:test"},
}

// site is one product of a simulated site.
type site struct {
	*atlassiantest.Server
	kind
	// forms are all the ways in which a record with a key was ever served.
	forms map[string][]string
	// first is how a record without a key was served first, and twin the same by
	// each of the ways in which it ever was.
	first map[int]string
	twin  map[string]string
	// known are the forms of texts.
	known map[string]string
}

func newSite(k kind, seed uint64) *site {
	return &site{
		Server: k.server(seed),
		kind:   k,
		forms:  map[string][]string{},
		first:  map[int]string{},
		twin:   map[string]string{},
		known:  map[string]string{},
	}
}

// add stores n different records, each dated apart after the one before it, the
// last one ago.
func (s *site) add(n int, apart, ago time.Duration) {
	last := time.Now().Add(-ago)
	for i := range n {
		s.AddBurst(string(s.product), 1, last.Add(-apart*time.Duration(n-1-i)))
	}
}

// burst stores n different records of one millisecond.
func (s *site) burst(n int, ago time.Duration) {
	s.AddBurst(string(s.product), n, time.Now().Add(-ago))
}

func (s *site) twins(n int, ago time.Duration) {
	s.AddTwins(string(s.product), n, time.Now().Add(-ago))
}

func (s *site) quirks(change func(*atlassiantest.Quirks)) {
	s.note()
	s.UpdateQuirks(string(s.product), change)
}

// rename changes every person's name.
func (s *site) rename(to string) {
	s.note()
	for account := range s.Accounts(string(s.product)) {
		s.Rename(account, to+" "+account)
	}
}

// note remembers how the records are served now.
func (s *site) note() {
	s.Each(string(s.product), func(r atlassiantest.Stored) bool {
		f := s.form(s.raw(r))
		if r.Key == "" {
			if s.first[r.Seq] == "" {
				s.first[r.Seq] = f
			}
			s.twin[f] = s.first[r.Seq]
		} else if !slices.Contains(s.forms[r.Key], f) {
			s.forms[r.Key] = append(s.forms[r.Key], f)
		}
		return true
	})
}

// machine is a machine on which the check runs: its disk, its state, and how it
// is configured.
type machine struct {
	site *site
	o    collect.Options
	// budget is how long a run may go on.
	budget time.Duration
	disk   *spooltest.MemFS
	files  state.Files
	// between is called between any two operations of a run on state and spool,
	// with the name of the one before.
	between func(operation string)
	// stop is the operation of the disk at which something happens.
	stop int
	// torn: the power went while lines were written, so that some may be cut or
	// overwritten with zeros; whole ones stand elsewhere.
	torn bool
}

const spoolDir = "/run/spool/records"

func newMachine(s *site, dir string) *machine {
	m := &machine{site: s, o: usual, budget: 30 * time.Second, disk: spooltest.New()}
	// Of one product each page has a commit of its own, of the other several share it.
	m.o.BatchSize = 1
	if s.product == audit.Confluence {
		m.o.BatchSize = 20_000
	}
	m.disk.MkdirAll(path.Dir(spoolDir))
	m.live(dir)
	return m
}

// live makes dir the place of the machine's state.
func (m *machine) live(dir string) {
	m.files = state.Files{
		State:  filepath.Join(dir, "state.db"),
		Copy:   filepath.Join(dir, "state.copy"),
		Marker: filepath.Join(dir, "marker.json"),
	}
}

// outcome is what a run said of itself.
type outcome struct {
	collect.Summary
	requests int
	position audit.Position
	// waited is true when the run did nothing because Atlassian wants to be
	// left alone; more when its budget left something unread.
	waited, more bool
	notice       string
}

// complete tells that nothing was left to do.
func (o outcome) complete() bool {
	return o.LiveDone && !o.waited && o.Gap == 0 && o.Recheck == 0
}

// run is one run of the check, as a process does it.
func (m *machine) run() (out outcome, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), m.budget+time.Minute)
	defer cancel()
	store, notice, err := state.Open(m.files, state.Options{Now: time.Now})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	out.notice = notice
	position, err := store.Position()
	if err != nil {
		return out, err
	}
	at, err := m.site.open(ctx, m.site, position)
	if err != nil {
		return out, err
	}
	dir, err := spool.Open(m.disk, spoolDir, spool.Options{Now: time.Now, Oversize: "/run/oversize", MaxSize: 256 << 10})
	if err != nil {
		return out, err
	}
	o := m.o
	o.Stream, o.Now, o.ServerNow = at.stream, time.Now, at.now
	o.Mark = func(resume int64) error { return state.Mark(m.files, resume, time.Now()) }
	c, err := collect.Open(o, spiedState{store, m}, spiedSpool{dir, m}, at.source)
	if err != nil {
		return out, err
	}
	defer func() {
		out.Summary, out.requests, out.position = c.Summary(), at.source.Requests(), c.Position()
	}()
	if until := c.Position().WaitUntil; time.Now().UnixMilli() < until {
		out.waited = true
		return out, nil
	}
	soft := time.Now().Add(m.budget)
	err = c.Live(ctx, soft)
	c.SetSite(at.stream.CloudID, at.source.Route())
	if err == nil {
		err = c.Guard(ctx)
	}
	if err == nil {
		// At least one step, lest the live edge starve everything else.
		for first := true; err == nil && (first || out.more && time.Now().Before(soft)); first = false {
			out.more, err = c.Rest(ctx, soft)
		}
	}
	var wait interface{ WaitUntil() (time.Time, bool) }
	if errors.As(err, &wait) {
		if until, ok := wait.WaitUntil(); ok {
			return out, errors.Join(err, c.Wait(until, "quota"))
		}
	}
	if err == nil {
		err = c.Close()
	}
	return out, err
}

// settle lets runs follow each other until one has nothing left to do, and
// answers that one. Errors of the runs before it are theirs.
func (m *machine) settle() (outcome, error) {
	var out outcome
	var err error
	for range 500 {
		time.Sleep(interval)
		if out, err = m.run(); err == nil && out.complete() {
			return out, nil
		}
	}
	return out, fmt.Errorf("nothing is complete after 500 runs: %+v, the last error: %w", out, err)
}

// reconcile lets the time pass after which a reconcile is due, and settles.
func (m *machine) reconcile() error {
	time.Sleep(m.o.ReconcileInterval + interval)
	_, err := m.settle()
	return err
}

// moment is what is left of a machine that is killed between two operations.
type moment struct {
	after      string
	db, marker []byte
	disk       *spooltest.MemFS
}

// watch remembers the machine between any two operations.
func (m *machine) watch(moments *[]moment) {
	read := func(file string) []byte {
		b, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			panic(err)
		}
		return b
	}
	m.between = func(after string) {
		*moments = append(*moments, moment{after, read(m.files.State), read(m.files.Marker), m.disk.Clone()})
	}
}

// restart is the machine as it comes back after it was killed at that moment,
// with what is left of its disk.
func (m *machine) restart(at moment, disk *spooltest.MemFS, dir string) (*machine, error) {
	back := &machine{site: m.site, o: m.o, budget: m.budget, disk: disk}
	back.live(dir)
	for file, b := range map[string][]byte{back.files.State: at.db, back.files.Marker: at.marker} {
		if b == nil {
			continue
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			return nil, err
		}
	}
	return back, nil
}

func (m *machine) did(operation string) {
	if m.between != nil {
		m.between(operation)
	}
}

// spiedState tells the machine of every operation.
type spiedState struct {
	*state.Store
	m *machine
}

func (s spiedState) Commit(c audit.Change) error {
	err := s.Store.Commit(c)
	s.m.did("Commit")
	return err
}

func (s spiedState) SeenAt(millis []int64) ([]audit.Seen, error) {
	for i := 1; i < len(millis); i++ {
		if millis[i] <= millis[i-1] {
			return nil, fmt.Errorf("SeenAt was asked for %d after %d", millis[i], millis[i-1])
		}
	}
	return s.Store.SeenAt(millis)
}

type spiedSpool struct {
	*spool.Dir
	m *machine
}

func (s spiedSpool) Write(p audit.Place, lines []byte) error {
	err := s.Dir.Write(p, lines)
	s.m.did("Write")
	return err
}

func (s spiedSpool) Recover(b audit.Batch) (bool, []byte, error) {
	written, rest, err := s.Dir.Recover(b)
	s.m.did("Recover")
	return written, rest, err
}

func (s spiedSpool) Keep(id string, raw []byte) error {
	err := s.Dir.Keep(id, raw)
	s.m.did("Keep")
	return err
}

// line is a line of the spool.
type line struct {
	id, created, form string
	text              []byte
}

// lines are all lines of the spool, and an error for one that is none.
func (m *machine) lines() ([]line, error) {
	var out []line
	files := m.disk.Files()
	names := make([]string, 0, len(files))
	for name := range files {
		if path.Dir(name) == spoolDir && path.Ext(name) == ".jsonl" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for text := range bytes.Lines(files[name]) {
			var ours struct {
				Atlassian struct {
					ID      string          `json:"record_id"`
					Created string          `json:"created"`
					Value   json.RawMessage `json:"value"`
				} `json:"atlassian"`
			}
			if err := json.Unmarshal(text, &ours); err != nil || !bytes.HasSuffix(text, []byte("\n")) || ours.Atlassian.ID == "" {
				if m.torn {
					continue
				}
				return nil, fmt.Errorf("%s holds what is no line: %.200q (%w)", name, text, err)
			}
			f := m.site.form(text)
			if v := ours.Atlassian.Value; v != nil {
				f = value(v)
			}
			out = append(out, line{ours.Atlassian.ID, ours.Atlassian.Created, f, text})
		}
	}
	return out, nil
}

// raw is a record as the source shows it.
func (s *site) raw(r atlassiantest.Stored) []byte {
	if s.shown != nil {
		return s.shown(r.Raw)
	}
	return r.Raw
}

// form is the form of a text, which costs much to find out.
func (s *site) form(text []byte) string {
	f, ok := s.known[string(text)]
	if !ok {
		f = form(text, s.dates)
		s.known[string(text)] = f
	}
	return f
}

// form is what an object says, our own fields and its date aside: its other
// fields in their order, with their values as they are, white space aside. What
// is no object is a value.
func form(text []byte, dates []string) string {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return value(text)
	}
	left := append([]string{"timestamp", "ddsource", "service", "ddtags", "usr", "network", "evt", "atlassian"}, dates...)
	var b strings.Builder
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return value(text)
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return value(text)
		}
		if text, ok := name.(string); !ok || !slices.Contains(left, text) {
			fmt.Fprintf(&b, "%q:%s,", name, compact(v))
		}
	}
	return b.String()
}

// value is the form of what is no object: JSON, or a text that is put as one.
func value(text []byte) string {
	var s string
	if json.Unmarshal(text, &s) == nil {
		return "value " + s
	}
	if json.Valid(text) {
		return "value " + compact(text)
	}
	return "value " + string(text)
}

func compact(v []byte) string {
	var b bytes.Buffer
	if err := json.Compact(&b, v); err != nil {
		return string(v)
	}
	return b.String()
}

// ledger is what a machine's spool holds, compared with what the site has.
type ledger struct {
	lines, lost, repeated, changed, foreign, sameID, misdated int
	// ids are the record_ids of a record, by key or form.
	ids map[string][]string
	// some tells of a few of the differences.
	some []string
}

func (l *ledger) tell(n *int, format string, args ...any) {
	if *n++; *n <= 3 {
		l.some = append(l.some, fmt.Sprintf(format, args...))
	}
}

// audit compares the spool with what the site holds.
func (m *machine) audit() (*ledger, error) {
	all, err := m.lines()
	if err != nil {
		return nil, err
	}
	m.site.note()
	l := &ledger{lines: len(all), ids: map[string][]string{}}
	keys, want, may := map[string]atlassiantest.Stored{}, map[string]int{}, map[string]int{}
	floor := time.Now().Add(-m.o.InitialLookback - 365*24*time.Hour)
	if store, _, err := state.Open(m.files, state.Options{Now: time.Now}); err == nil {
		if p, err := store.Position(); err == nil && p.FloorSet {
			floor = time.UnixMilli(p.Floor)
		}
		if err := store.Close(); err != nil {
			return nil, err
		}
	}
	m.site.Each(string(m.site.product), func(r atlassiantest.Stored) bool {
		name := r.Key
		if name == "" {
			name = m.site.first[r.Seq]
		} else {
			keys[name] = r
		}
		may[name]++
		if !r.Purged && !r.Created.Before(floor) {
			want[name]++
		}
		return true
	})
	seen := map[string]bool{}
	for _, n := range all {
		if seen[n.id] {
			l.tell(&l.sameID, "record_id %s stands on more than one line", n.id)
		}
		seen[n.id] = true
		name := m.site.twin[n.form]
		if k, ok := keyOf(n.text, keys); ok {
			name = k
			if !slices.Contains(m.site.forms[k], n.form) {
				l.tell(&l.changed, "%s was changed:\nserved %s\nspool  %s", k, m.site.forms[k], n.form)
			}
			second := keys[k].Created.Truncate(time.Second).Format("2006-01-02T15:04:05.000Z")
			if exact := keys[k].Created.Format("2006-01-02T15:04:05.000Z"); n.created != exact && n.created != second {
				l.tell(&l.misdated, "%s is dated %q, created %s", k, n.created, exact)
			}
		}
		l.ids[name] = append(l.ids[name], n.id)
		if may[name] == 0 {
			l.tell(&l.foreign, "a line of no record: %.300s", n.text)
		}
	}
	for name, n := range want {
		if got := len(l.ids[name]); got < n {
			l.tell(&l.lost, "%d of %d are there of %.120s, created %s", got, n, name, keys[name].Created)
			l.lost += n - got - 1
		}
	}
	for name, n := range may {
		if got := len(l.ids[name]); got > n {
			l.tell(&l.repeated, "%d lines are there of the %d of %.120s: %s", got, n, name, l.ids[name])
			l.repeated += got - n - 1
		}
	}
	return l, nil
}

// keyOf is the key that stands in a line.
func keyOf(text []byte, keys map[string]atlassiantest.Stored) (string, bool) {
	const length = len("jffff-000000")
	for at := 0; ; at++ {
		i := bytes.IndexByte(text[at:], '-')
		if i < 0 {
			return "", false
		}
		at += i
		for n := length; n <= length+2; n++ {
			if from := at - 5; from >= 0 && from+n <= len(text) {
				if _, ok := keys[string(text[from:from+n])]; ok {
					return string(text[from : from+n]), true
				}
			}
		}
	}
}

// exactly is nil when every record is in the spool exactly once, unchanged.
func (m *machine) exactly() error {
	l, err := m.audit()
	if err != nil {
		return err
	}
	return l.err()
}

// err is nil when there is no difference.
func (l *ledger) err() error {
	if l.lost+l.repeated+l.changed+l.foreign+l.sameID+l.misdated == 0 {
		return nil
	}
	return fmt.Errorf("of %d lines: %d lost, %d repeated, %d changed, %d misdated, %d of no record, %d with a record_id already used\n  %s",
		l.lines, l.lost, l.repeated, l.changed, l.misdated, l.foreign, l.sameID, strings.Join(l.some, "\n  "))
}

// sameIDs is nil when both machines call the same records by the same ids.
func (l *ledger) sameIDs(other *ledger) error {
	for name, ids := range l.ids {
		slices.Sort(ids)
		slices.Sort(other.ids[name])
		if !slices.Equal(ids, other.ids[name]) {
			return fmt.Errorf("%.200s is called %q, and on another machine %q", name, ids, other.ids[name])
		}
	}
	return nil
}

// bubble runs f in a bubble of its own for each kind of source.
func bubble(t *testing.T, f func(t *testing.T, m *machine)) {
	t.Helper()
	for _, k := range kinds {
		if !k.takes(t.Name()) {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { f(t, newMachine(newSite(k, 1), dir)) })
		})
	}
}

// asking is bubble for the sources that ask over a network.
func asking(t *testing.T, f func(t *testing.T, m *machine)) {
	t.Helper()
	bubble(t, func(t *testing.T, m *machine) {
		if !m.site.quiet {
			f(t, m)
		}
	})
}

// must ends the test when something is wrong.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pass lets time go by in the bubble of testing/synctest that every test of this
// package runs in: nobody waits for it.
func pass(d time.Duration) { time.Sleep(d) }
