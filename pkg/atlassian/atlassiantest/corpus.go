package atlassiantest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// variants is how many different records of a product a corpus knows, their
// keys and dates aside. It bounds the memory of any number of records.
const variants = 1500

// Corpus makes realistic audit records of both products, as many as wanted:
// users and groups, projects, permission and other schemes, workflows, fields,
// spaces and pages, global settings, sign-ins failed and successful, apps and
// tokens, exports, and the audit log's own configuration. The same seed makes
// the same records in the same order. It is not safe for concurrent use.
//
// Among them are the odd ones that real sites have: no author, no address or an
// internal one, user keys in place of account ids, group names with an id
// behind them, changes without a former value, names in any script and
// escaped in any way, unknown fields with numbers that no float can hold.
type Corpus struct {
	seed   uint64
	people []person
	made   map[string]*made
}

// made are the records of one product so far.
type made struct {
	n    int // records handed out
	raws map[int][]byte
	pick *rand.Rand
}

// person is somebody who appears in audit records.
type person struct {
	account string // "5ff3…", "557058:uuid", "712020:uuid"
	key     string // "ug:uuid" or "qm:uuid:uuid", how Jira names a user as an object
	name    string
	mail    string
	address string
}

// NewCorpus makes a corpus.
func NewCorpus(seed uint64) *Corpus {
	c := &Corpus{seed: seed, made: map[string]*made{}}
	r := newRand(seed, 100)
	for i, name := range displayNames {
		c.people = append(c.people, newPerson(r, i, name))
	}
	for i, p := range []string{Jira, Confluence, Organization} {
		c.made[p] = &made{raws: map[int][]byte{}, pick: newRand(seed, 101+uint64(i))}
	}
	return c
}

// Jira is the next Jira record, dated at.
func (c *Corpus) Jira(at time.Time) Record { return c.Record(Jira, at) }

// Confluence is the next Confluence record, dated at.
func (c *Corpus) Confluence(at time.Time) Record { return c.Record(Confluence, at) }

// Organization is the next event of the organisation's log, dated at.
func (c *Corpus) Organization(at time.Time) Record { return c.Record(Organization, at) }

// Record is the product's next record, dated at. A product that nobody knows is
// taken as Jira.
func (c *Corpus) Record(product string, at time.Time) Record {
	var compose func(*writer) string
	switch product {
	case Confluence:
		compose = composeConfluence
	case Organization:
		compose = composeOrganization
	default:
		product, compose = Jira, composeJira
	}
	m := c.made[product]
	v := m.pick.IntN(variants)
	raw, ok := m.raws[v]
	if !ok {
		raw = []byte(compose(&writer{newRand(c.seed, uint64(product[0])<<32+uint64(v)), c.people}))
		m.raws[v] = raw
	}
	m.n++
	return Record{Created: at, Raw: raw, Key: fmt.Sprintf("%c%04x-%06d", product[0], uint16(c.seed*40503), m.n)}
}

// Twin is the record without what tells it apart: no Key, and a fixed text in
// its place.
func Twin(r Record) Record {
	r.Raw = []byte(strings.ReplaceAll(string(r.Raw), KeyMark, "twin"))
	r.Key = ""
	return r
}

// writer composes one record. Its methods choose at random.
type writer struct {
	*rand.Rand
	people []person
}

func (w *writer) chance(oneIn int) bool { return w.IntN(oneIn) == 0 }

func one[T any](w *writer, of ...T) T { return of[w.IntN(len(of))] }

func (w *writer) person() person { return w.people[w.IntN(len(w.people))] }

// q writes a string as JSON in one of the ways in which servers write them.
func (w *writer) q(s string) string {
	text := quote(s)
	switch w.IntN(3) {
	case 0: // as browsers like it
		text = strings.NewReplacer("<", `\u003c`, ">", `\u003E`, "&", `\u0026`, "/", `\/`).Replace(text)
	case 1: // pure ASCII
		var b strings.Builder
		for _, r := range text {
			switch {
			case r < 0x80:
				b.WriteRune(r)
			case r > 0xffff:
				r -= 0x10000
				fmt.Fprintf(&b, `\u%04x\u%04X`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			default:
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		}
		text = b.String()
	}
	return text
}

// field is a member of an object; one without a value is left out.
type field struct{ name, value string }

func object(fields ...field) string {
	var b strings.Builder
	b.WriteByte('{')
	for _, f := range fields {
		if f.value == "" {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(quote(f.name))
		b.WriteByte(':')
		b.WriteString(f.value)
	}
	b.WriteByte('}')
	return b.String()
}

func array(values ...string) string { return "[" + strings.Join(values, ",") + "]" }

func (w *writer) hex(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789abcdef"[w.IntN(16)]
	}
	return string(b)
}

func (w *writer) uuid() string { return newUUID(w.Rand) }

func newUUID(r *rand.Rand) string {
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", uint32(a), uint16(a>>32), uint16(a>>52),
		0x8000|uint16(b)&0x3fff, b>>16)
}

func newPerson(r *rand.Rand, i int, name string) person {
	p := person{
		name: name,
		mail: fmt.Sprintf("user%02d@example.com", i+1),
		key:  "ug:" + newUUID(r),
	}
	switch i % 4 {
	case 0:
		p.account = fmt.Sprintf("%08x%08x%08x", 0x5ff30000+r.Uint32N(1<<16), r.Uint32(), r.Uint32())
	case 1:
		p.account = "557058:" + newUUID(r)
	default:
		p.account = "712020:" + newUUID(r)
	}
	if i%9 == 8 {
		p.key = "qm:" + newUUID(r) + ":" + newUUID(r)
	}
	switch i % 5 {
	case 0:
		p.address = fmt.Sprintf("192.0.2.%d", 1+r.IntN(250))
	case 1:
		p.address = fmt.Sprintf("198.51.100.%d", 1+r.IntN(250))
	case 2:
		p.address = fmt.Sprintf("2001:db8:%x::%x", r.IntN(1<<16), 1+r.IntN(1<<16))
	default:
		p.address = fmt.Sprintf("203.0.113.%d", 1+r.IntN(250))
	}
	return p
}

// address is where an action came from: the person's, an internal one, several,
// or (with "") none at all.
func (w *writer) address(p person) string {
	switch w.IntN(12) {
	case 0:
		return one(w, "10.83.76.139", "10.0.14.7", "172.20.3.91")
	case 1:
		return p.address + ", 10.83.76.139"
	}
	return p.address
}

// unknown are fields that no documentation knows, as they come and go.
func (w *writer) unknown() []field {
	all := []field{
		{"riskScore", "9007199254740993"},
		{"sequence", "18446744073709551615"},
		{"weight", "12345678901234567890.125"},
		{"ratio", "1.50e-7"},
		{"exact", "1.0"},
		{"context", `{"tenant":null,"shard":"` + w.hex(6) + `","tags":[]}`},
		{"correlationId", quote(w.uuid())},
		{"flags", "[true,false,null,0,-0,\"\"]"},
	}
	w.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return slices.Clip(all[:1+w.IntN(2)])
}

// named is a name that the record's key makes unique.
func (w *writer) named(names ...string) string { return one(w, names...) + " " + KeyMark }

var displayNames = []string{
	"Account 01", "Account 02", "Account 03 (contractor)", "Áccount Öne", "アカウント 五", "账户 六", "Счёт Семь", "حساب ثمانية",
	"Account 'Nine' O'Quote", `Account "Ten"`, "Account\\Eleven", "Account <b>Twelve</b> & Co", "Account/Thirteen", "Account 14 🛠️",
	"Account\u2028Fifteen", "e\u0301 Account (combining)", "Account 17", "Account 18", "İACCOUNT ı", "Account 20 ",
	"Service desk bot", "Build account", "Account 23", "Account 24", "ÀÇÇÈÑT ß", "Account 26", "Account 27", "계정 이십팔",
	"Account 29", "Account 30 (inactive)",
}
