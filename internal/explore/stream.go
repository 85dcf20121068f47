package explore

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"atlassian_audit_records/internal/sourcetest"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/collect"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/state"
)

// record is one that the site holds, and when it is due.
type record struct {
	millis int64
	// due: it was there when a run began that covered its moment.
	due bool
}

// stream is one product: a site that holds its records, and what is known of them on
// the machine.
type stream struct {
	w       *world
	rand    *rand.Rand
	site    *sourcetest.Site
	records []record
	last    time.Time // of the record added last
	renamed bool
	// disordered: the site answers in the order of insertion, so that what was read
	// in good faith may have been read in vain; a reconcile makes up for it.
	disordered bool
	// lied is the run in which an answer was last empty that should not have been.
	lied int
	// large is how many more records may come that are too long for a line.
	large int

	// name is its in the names of files.
	name  string
	owner spool.Owner
	files state.Files
	// notes and ledger are where the machine's disk has what is noted of the delivery,
	// and of what was put back.
	notes, ledger string
	options       collect.Options
	// again is how often a replay put back what another one had put back.
	again int
	// since is where the history begins that somebody wants, zero for nowhere.
	since time.Time

	// position and batch are what the state holds durably; forgot says that one was
	// lost, so that lines may stand twice.
	position audit.Position
	batch    audit.Batch
	forgot   bool
}

// newStream makes a product, with its state in dir.
func newStream(w *world, seed uint64, dir string) (*stream, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	r := w.rand
	kinds := sourcetest.Kinds()
	kind := kinds[r.IntN(len(kinds))]
	site, err := sourcetest.NewSite(kind, seed, dir)
	if err != nil {
		return nil, err
	}
	home := "example.atlassian.net"
	if kind.Product == audit.Organization {
		home = site.Options().OrganizationID
	} else if kind.Name != string(kind.Product) {
		home = "products.example.com" + site.Options().DataCenter.Paths[string(kind.Product)]
	}
	name := strings.NewReplacer(" ", "-", "'", "").Replace(kind.Name)
	s := &stream{
		w: w, rand: r, site: site, name: name, last: time.Now(), owner: spool.Owner{Home: home, Product: kind.Product},
		files: state.Files{
			State: filepath.Join(dir, "state.db"), Copy: filepath.Join(dir, "state.copy"), Marker: filepath.Join(dir, "marker.json"),
		},
		notes: base + "/state/" + name + ".delivery.json", ledger: base + "/state/" + name + ".replayed.json",
		options: collect.Options{
			InitialLookback: 5 * 24 * time.Hour, Lookback: 15 * time.Minute, ReconcileWindow: 48 * time.Hour, ReconcileInterval: 6 * time.Hour,
			PageSize:   pick(r, 1, 2, 5, 20, 20, 1000),
			BatchSize:  pick(r, 1, 8000, 0),
			Remembered: pick(r, 1, 20, 0),
			Service:    "test", Tags: []string{"env:test"},
		},
	}
	s.habits()
	s.past()
	return s, nil
}

// habits are how the site answers. They are honest ones.
func (s *stream) habits() {
	r := s.rand
	s.site.Change(func(q *atlassiantest.Quirks) {
		q.MaxPage = pick(r, 0, 0, 3, 10)
		q.EchoRequestedLimit = r.IntN(2) == 0
		// Ties of more than a page that change their places all the time, and have no
		// id, cannot be counted.
		q.ShuffleTies = s.options.PageSize == 1000 && q.MaxPage == 0 && r.IntN(2) == 0
		q.ClockSkew = pick(r, 0, 0, 20*time.Minute, -20*time.Minute)
		q.Latency = pick(r, 0, 0, 301*time.Millisecond)
		q.SecondPrecisionBounds = r.IntN(6) == 0
		q.ExclusiveBounds = r.IntN(8) == 0
		q.InsertionOrder = r.IntN(12) == 0
		s.disordered = q.InsertionOrder
		if s.site.Product == audit.Organization {
			q.SecondPrecisionBounds, q.ExclusiveBounds, q.InsertionOrder, s.disordered = false, false, false, false
			q.NextAtEnd = r.IntN(2) == 0
			q.CursorLife = pick(r, 0, 0, 10*time.Minute)
			q.CursorStatus = pick(r, 0, 404, 410)
		}
	})
}

// pages is how many records a page holds.
func (s *stream) pages() int {
	if most := s.site.Quirks(string(s.site.Product)).MaxPage; most > 0 {
		return min(most, s.options.PageSize)
	}
	return s.options.PageSize
}

// past is what there was before the first run, and perhaps a history that somebody
// wants.
func (s *stream) past() {
	r := s.rand
	for range r.IntN(60) {
		s.add(1, time.Duration(r.Int64N(int64(30*time.Hour))))
	}
	if r.IntN(3) == 0 {
		s.add(1+r.IntN(40), time.Duration(r.Int64N(int64(20*time.Hour))))
	}
	if r.IntN(10) == 0 {
		s.large = 1 + r.IntN(2)
	}
	if r.IntN(3) != 0 {
		return
	}
	const age = 25 * 24 * time.Hour
	s.since = time.Now().Add(-age)
	for range r.IntN(40) {
		s.add(1+r.IntN(2)*r.IntN(6), time.Duration(r.Int64N(int64(age))))
	}
	// What comes at the same moment as the last one would be late by weeks.
	s.last = time.Now()
}

// add stores n records of one moment some time ago.
func (s *stream) add(n int, ago time.Duration) {
	s.last = time.Now().Add(-ago)
	s.addAt(n, s.last)
}

func (s *stream) addAt(n int, at time.Time) {
	s.stored(s.site.AddBurst(string(s.site.Product), n, at))
}

// addLarge stores a record that is too long for a line.
func (s *stream) addLarge() {
	s.last = time.Now()
	raw := `{"summary":"large","category":"c","description":"` + strings.Repeat("x", audit.MaxLine+s.rand.IntN(100_000)) + `"}`
	s.stored(s.site.Add(string(s.site.Product), atlassiantest.Record{Created: s.last, Raw: []byte(raw)}))
	s.w.count("large records", 1)
}

// stored takes note of new records.
func (s *stream) stored(seqs []int) {
	for _, seq := range seqs {
		r := s.site.At(string(s.site.Product), seq)
		at := r.Created
		if !r.Processed.IsZero() {
			at = r.Processed
		}
		s.records = append(s.records, record{millis: at.UnixMilli()})
	}
	s.w.count("records", len(seqs))
}

// committed takes note of what a process made durable.
func (s *stream) committed(p *process, c audit.Change) {
	for i := range s.records[:p.known] {
		r := &s.records[i]
		r.due = r.due || c.Position.Covered.Contains(r.millis) && !s.position.Covered.Contains(r.millis)
	}
	s.position = c.Position
	if c.Batch != nil {
		s.batch = *c.Batch
		s.batch.Lines = bytes.Clone(c.Batch.Lines)
	}
	s.w.count("commits", 1)
}

// lose removes the state, so that what it alone knew may come again.
func (s *stream) lose() {
	if os.Remove(s.files.State) != nil {
		return // there is none yet
	}
	s.w.law.forget(s)
}
