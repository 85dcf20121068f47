package atlassiantest

import (
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"time"
)

// The products, as they are named throughout.
const (
	Jira       = "jira"
	Confluence = "confluence"
	// Organization is the audit log of the organisation to which the site belongs.
	Organization = "organization"
)

// Record is an audit record to be held by the server.
type Record struct {
	// Created is the record's date; it counts in milliseconds.
	Created time.Time
	// Processed is when the organisation's log took the event in, by which it is
	// ordered; by default a little after Created. Products have no such time.
	Processed time.Time
	// Raw is the record's JSON object. The server adds Jira's "id" and the
	// date ("created" before "category", or "creationDate" before "summary")
	// where Raw has none of its own; a date of its own is served as it stands,
	// while Created still decides about place and bounds. Raw may hold KeyMark.
	// It may be shared by many records and must not be changed afterwards.
	// Text that is not a JSON object is served as it stands.
	Raw json.RawMessage
	// Key is a text that stands in what is served of this record and in no
	// other; "" for a record that is meant not to be told apart.
	Key string
	// Verbatim serves Raw as it stands, with no id and no date added.
	Verbatim bool
}

// Stored is a record as the server holds it.
type Stored struct {
	// Seq counts the product's records in the order of insertion, from 0.
	Seq int
	// ID is the id that the server gave; 0 at Confluence, and for a record that
	// brought its own.
	ID int64
	// Key is the Record's.
	Key string
	// Created is the record's date in UTC.
	Created time.Time
	// Processed is the time of an event's processing in UTC; zero in a product.
	Processed time.Time
	// Served counts the answers that contained the record and could be read.
	Served int
	// Purged is true once retention has removed the record.
	Purged bool
	// Search is true for a record that the server wrote itself because somebody
	// searched its audit log.
	Search bool
	// Raw is the record exactly as it would be served now.
	Raw json.RawMessage
}

// held is a record in a store. The record's place in store.recs is its sequence.
type held struct {
	tmpl    *template
	key     string
	created int64
	// place is what the store is ordered by: created, or what stands for processed.
	place     int64
	processed int64
	id        int64
	served    int32
	purged    bool
	search    bool
}

type rawKey struct {
	first    *byte
	n        int
	verbatim bool
}

// store holds the records of one product.
type store struct {
	product string
	form    form
	// now is the clock of the organisation's log, nil in a product.
	now func() time.Time

	mu        sync.Mutex
	quirks    Quirks
	recs      []held
	index     []uint32 // of recs, ascending by (created, sequence), without the purged
	templates map[rawKey]*template
	names     map[string]string // account id to display name, as far as met
	renames   []renamed
	nextID    int64
	ids       *rand.Rand
	shuffles  *rand.Rand
	last      *answered // the last list answered
	pending   []pending // what is written and not shown yet
	log       *auditLog // the files that every record is written to; nil for none
}

func newStore(product string, f form, seed uint64) *store {
	return &store{
		product:   product,
		form:      f,
		templates: map[rawKey]*template{},
		names:     map[string]string{},
		nextID:    10000,
		ids:       rand.New(rand.NewPCG(seed, 1)),
		shuffles:  rand.New(rand.NewPCG(seed, 2)),
	}
}

func (st *store) add(recs []Record) []int {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.insert(recs)
}

// insert is add with the lock held by the caller.
func (st *store) insert(recs []Record) []int {
	seqs := make([]int, len(recs))
	fresh := make([]uint32, len(recs))
	for i, r := range recs {
		h := held{tmpl: st.template(r), key: r.Key, created: r.Created.UnixMilli()}
		h.place = h.created
		if st.form.processed {
			st.process(&h, r, st.now().UnixMilli())
		}
		if !h.tmpl.ownID {
			h.id = st.id()
		}
		seqs[i] = len(st.recs)
		fresh[i] = uint32(len(st.recs))
		st.recs = append(st.recs, h)
		st.log.write(st, uint32(seqs[i]))
	}
	slices.SortStableFunc(fresh, st.compare)
	st.merge(fresh)
	return seqs
}

// id numbers the next record: ascending, with gaps, as observed.
func (st *store) id() int64 {
	st.nextID++
	if st.ids.IntN(4) == 0 {
		st.nextID += int64(st.ids.IntN(4))
	}
	return st.nextID
}

func (st *store) compare(a, b uint32) int {
	return cmp.Or(cmp.Compare(st.recs[a].place, st.recs[b].place), cmp.Compare(a, b))
}

// merge puts new records, in order, into the index.
func (st *store) merge(fresh []uint32) {
	if len(fresh) == 0 {
		return
	}
	at := sort.Search(len(st.index), func(i int) bool { return st.compare(st.index[i], fresh[0]) > 0 })
	tail := slices.Clone(st.index[at:])
	st.index = slices.Grow(st.index[:at], len(tail)+len(fresh))
	for len(tail) > 0 && len(fresh) > 0 {
		if st.compare(tail[0], fresh[0]) < 0 {
			st.index, tail = append(st.index, tail[0]), tail[1:]
		} else {
			st.index, fresh = append(st.index, fresh[0]), fresh[1:]
		}
	}
	st.index = append(append(st.index, tail...), fresh...)
}

// template finds or makes the cut form of r.Raw.
func (st *store) template(r Record) *template {
	var k rawKey
	if len(r.Raw) > 0 {
		k = rawKey{&r.Raw[0], len(r.Raw), r.Verbatim}
	}
	if t, ok := st.templates[k]; ok {
		return t
	}
	t := newTemplate(r.Raw, r.Verbatim, st.form)
	if n, ok := parse(r.Raw); ok {
		if a, ok := n.member("author"); ok {
			id, name := a.text(r.Raw, "accountId"), a.text(r.Raw, "displayName")
			if id == "" && isUserType(a.text(r.Raw, "type")) {
				id, name = a.text(r.Raw, "id"), a.text(r.Raw, "name")
			}
			if id != "" && name != "" {
				if _, met := st.names[id]; !met {
					st.names[id] = name
				}
			}
		}
	}
	for _, p := range st.renames {
		t.rename(p, st.form)
	}
	st.templates[k] = t
	return t
}

func (st *store) rename(account, name string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	i := slices.IndexFunc(st.renames, func(p renamed) bool { return p.account == account })
	if i < 0 {
		i = len(st.renames)
		st.renames = append(st.renames, renamed{account: account})
	}
	p := &st.renames[i]
	if was := st.names[account]; was != "" && was != name && !slices.Contains(p.old, was) {
		p.old = append(p.old, was)
	}
	p.now = name
	st.names[account] = name
	for _, t := range st.templates {
		t.rename(*p, st.form)
	}
}

func (st *store) purge(before int64) int {
	st.mu.Lock()
	defer st.mu.Unlock()
	n := st.below(before)
	for _, seq := range st.index[:n] {
		st.recs[seq].purged = true
	}
	st.index = slices.Clone(st.index[n:])
	return n
}

// below is the number of records that have their place before ms.
func (st *store) below(ms int64) int {
	return sort.Search(len(st.index), func(i int) bool { return st.recs[st.index[i]].place >= ms })
}

// appendRecord writes one record as it is served.
func (st *store) appendRecord(b []byte, seq uint32) []byte {
	h := &st.recs[seq]
	return h.tmpl.append(b, h, st.form, &st.quirks)
}

func (st *store) stored(seq int) Stored {
	h := &st.recs[seq]
	raw := make([]byte, 0, h.tmpl.size+128)
	var processed time.Time
	if st.form.processed {
		processed = time.UnixMilli(h.processed).UTC()
	}
	return Stored{
		Processed: processed,

		Seq:     seq,
		ID:      h.id,
		Key:     h.key,
		Created: time.UnixMilli(h.created).UTC(),
		Served:  int(h.served),
		Purged:  h.purged,
		Search:  h.search,
		Raw:     st.appendRecord(raw, uint32(seq)),
	}
}

// markServed counts (or, with -1, takes back) that the records were shown.
func (st *store) markServed(seqs []uint32, by int32) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, q := range seqs {
		st.recs[q].served += by
	}
}
