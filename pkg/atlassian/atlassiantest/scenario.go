package atlassiantest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// Scenario is a scripted stretch of a site's life in which something happens
// that a collector must come through. The same scenario and seed tell the same
// records at the same times, whoever asks for them and how often.
type Scenario struct {
	// Name is unique: "rate-limit".
	Name string
	// About says in a sentence what happens.
	About string
	// Length is how long after its begin the last thing happens.
	Length time.Duration
	// Asleep is when the collector's machine is off, from and until so long after
	// the begin; both 0 for never. Whoever runs the collector sees to it.
	Asleep [2]time.Duration

	script func(w *script)
}

// AsleepAt tells whether the collector's machine is off so long after the begin.
func (c Scenario) AsleepAt(after time.Duration) bool {
	return after >= c.Asleep[0] && after < c.Asleep[1]
}

// ScenarioNames lists the scenarios, one line each.
func ScenarioNames() []string {
	var out []string
	for _, c := range Scenarios() {
		out = append(out, fmt.Sprintf("%-17s %s", c.Name, c.About))
	}
	return out
}

// ScenarioNamed is the scenario of that name.
func ScenarioNamed(name string) (Scenario, error) {
	var names []string
	for _, c := range Scenarios() {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return Scenario{}, fmt.Errorf("no scenario is called %q; there are %s", name, strings.Join(names, ", "))
}

// Play is a scenario on a server.
type Play struct {
	s     *Server
	begin time.Time

	mu    sync.Mutex
	acts  []act // by time
	turns []*turn
	kill  func(product string)
}

// act is something that happens so long after the begin; do is told when.
type act struct {
	after time.Duration
	do    func(p *Play, at time.Time)
}

// turn is something that happens once, at the first request to a product after
// a part of some records was shown and the rest was not: between two pages.
type turn struct {
	product string
	seqs    []int
	do      func(p *Play)
}

// Play begins the scenario on a server without records. Nothing happens until
// Advance.
func (c Scenario) Play(s *Server, seed uint64, begin time.Time) *Play {
	w := &script{rand: newRand(seed, 200), begin: begin, n: map[string]int{}}
	c.script(w)
	slices.SortStableFunc(w.acts, func(a, b act) int { return cmp.Compare(a.after, b.after) })
	p := &Play{s: s, begin: begin, acts: w.acts}
	s.OnRequest(p.request)
	return p
}

// OnKill says how the collector that reads a product is killed. Without it the
// connection breaks in that place.
func (p *Play) OnKill(kill func(product string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kill = kill
}

// Advance lets happen what is due by the server's clock.
func (p *Play) Advance() {
	after := p.s.now().Sub(p.begin)
	for {
		p.mu.Lock()
		if len(p.acts) == 0 || p.acts[0].after > after {
			p.mu.Unlock()
			return
		}
		a := p.acts[0]
		p.acts = p.acts[1:]
		p.mu.Unlock()
		a.do(p, p.begin.Add(a.after))
	}
}

// run lets happen what is due as time goes by, until ctx ends.
func (p *Play) run(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		p.Advance()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// request looks for a turn that has come.
func (p *Play) request(i RequestInfo) {
	if !i.Audit() {
		return
	}
	p.mu.Lock()
	var due []*turn
	p.turns = slices.DeleteFunc(p.turns, func(t *turn) bool {
		if t.product != i.Product {
			return false
		}
		shown := p.s.store(t.product).shown(t.seqs)
		if shown > 0 && shown < len(t.seqs) {
			due = append(due, t)
			return true
		}
		return shown > 0
	})
	p.mu.Unlock()
	for _, t := range due {
		t.do(p)
	}
}

// shown is the number of these records that an answer has contained.
func (st *store) shown(seqs []int) int {
	st.mu.Lock()
	defer st.mu.Unlock()
	n := 0
	for _, seq := range seqs {
		if st.recs[seq].served > 0 {
			n++
		}
	}
	return n
}

// between lets something happen once a part of these records was shown.
func (p *Play) between(product string, seqs []int, do func(p *Play)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turns = append(p.turns, &turn{product, seqs, do})
}

// during lets requests go wrong until a time.
func (p *Play) during(until time.Time, f Fault) {
	f.Match = func(i RequestInfo) bool { return i.Time.Before(until) }
	p.s.Fault(f)
}

// script is a scenario being written.
type script struct {
	rand  *rand.Rand
	begin time.Time
	acts  []act
	n     map[string]int
}

func (w *script) at(after time.Duration, do func(p *Play, at time.Time)) {
	w.acts = append(w.acts, act{after, do})
}

// ScenarioKey finds in a text the key by which a scenario's record is told from
// all others, identical twins aside. It stands in the name of the record's object.
const ScenarioKey = `record-[jc]\d{6}`

// record is the product's next record, dated so long after the begin.
func (w *script) record(product string, created time.Duration) Record {
	w.n[product]++
	r := Record{Created: w.begin.Add(created), Key: fmt.Sprintf("record-%c%06d", product[0], w.n[product])}
	people := engineers
	if w.rand.IntN(4) == 0 {
		people = administrators
	}
	who := people[w.rand.IntN(len(people))]
	r.Raw = json.RawMessage(deedOf(who, product, w.rand.IntN(scenarioDeeds)))
	return r
}

const scenarioDeeds = 4

// deedOf is a record without key and date.
func deedOf(who actor, product string, n int) string {
	if product == Confluence {
		summary := []string{"Page restriction added", "Page archived", "Public link turned on", "Page deleted permanently"}[n]
		return who.confluence(summary, "Pages", "Page", KeyMark, confluenceChange("Restriction", "", "View"))
	}
	summary := []string{"Work item deleted", "Custom field created", "Workflow updated", "Project updated"}[n]
	return who.jira(summary, "projects", jiraObject("PROJECT", "", KeyMark), jiraChange("Description", "", "Sprint"))
}

// twins are n records that are equal to the byte, Jira's id aside.
func (w *script) twins(product string, n int, created time.Duration) []Record {
	r := w.record(product, created)
	r.Raw = json.RawMessage(strings.ReplaceAll(string(r.Raw), KeyMark, r.Key))
	r.Key = ""
	return slices.Repeat([]Record{r}, n)
}

// scenarioProducts are those that every scenario is about.
var scenarioProducts = []string{Jira, Confluence}

// show makes records appear.
func (w *script) show(after time.Duration, product string, recs ...Record) {
	w.at(after, func(p *Play, _ time.Time) { p.s.Add(product, recs...) })
}

// ordinary are records that come one by one, a mean gap apart, and are shown
// so long after their dates as late says; at once where it is nil.
func (w *script) ordinary(from, until, gap time.Duration, late func() time.Duration) {
	for _, product := range scenarioProducts {
		for at := from; ; {
			at += time.Duration(w.rand.ExpFloat64() * float64(gap))
			if at >= until {
				break
			}
			lag := time.Duration(0)
			if late != nil {
				lag = late()
			}
			w.show(at+lag, product, w.record(product, at))
		}
	}
}

// bulk are n records of a few seconds, more than two pages hold, as a
// synchronisation leaves them; then is what happens between its first page and
// the next one, nil for nothing.
func (w *script) bulk(at time.Duration, then func(p *Play, product string)) {
	for _, product := range scenarioProducts {
		recs := make([]Record, scenarioBulk)
		for i := range recs {
			recs[i] = w.record(product, at+time.Duration(i)*4*time.Second/scenarioBulk)
		}
		w.at(at+4*time.Second, func(p *Play, _ time.Time) {
			seqs := p.s.Add(product, recs...)
			if then != nil {
				p.between(product, seqs, func(p *Play) { then(p, product) })
			}
		})
	}
}

// scenarioBulk is the number of records of a bulk: two and a half pages.
const scenarioBulk = 2500
