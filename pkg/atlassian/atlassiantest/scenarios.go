package atlassiantest

import "time"

const (
	scenarioLength = time.Hour
	scenarioGap    = 20 * time.Second // between two records of a product
	// scenarioMoment is when it happens, and on the day when the first thing does
	// and how much later each next one. They lie between the full minutes, at which
	// some collectors' windows meet.
	scenarioMoment = 26*time.Minute + 11*time.Second
	scenarioFirst  = time.Hour + scenarioMoment
	scenarioPause  = 74*time.Minute + 13*time.Second
)

// Scenarios are all there are: one thing that happens in each, and a day in
// which all of them do.
func Scenarios() []Scenario {
	out := make([]Scenario, 0, len(incidents)+1)
	day := Scenario{Name: "day", About: "A day of 24 hours in which all of this happens, one thing after the other", Length: 24 * time.Hour}
	var each []func(*script)
	for i, c := range incidents {
		out = append(out, Scenario{
			Name: c.name, About: c.about, Length: max(scenarioLength, c.length), Asleep: c.asleep,
			script: func(w *script) {
				w.ordinary(-30*time.Minute, max(scenarioLength, c.length), scenarioGap, nil)
				if c.happens != nil {
					c.happens(w, scenarioMoment)
				}
			},
		})
		at := scenarioFirst + time.Duration(i)*scenarioPause
		if c.happens != nil {
			each = append(each, func(w *script) { c.happens(w, at) })
		}
		if c.asleep != [2]time.Duration{} {
			shift := at - scenarioMoment
			day.Asleep = [2]time.Duration{c.asleep[0] + shift, c.asleep[1] + shift}
		}
	}
	day.script = func(w *script) {
		w.ordinary(-30*time.Minute, 24*time.Hour, 3*scenarioGap, nil)
		for _, happens := range each {
			happens(w)
		}
	}
	return append([]Scenario{day}, out...)
}

// incident is one thing that happens, at a time after the begin.
type incident struct {
	name, about string
	length      time.Duration
	asleep      [2]time.Duration
	happens     func(w *script, at time.Duration)
}

var incidents = []incident{
	{name: "calm", about: "Nothing: records come one by one, and every request is answered"},
	{
		name: "bulk", about: "2,500 records of four seconds in each product",
		happens: func(w *script, at time.Duration) { w.bulk(at, nil) },
	},
	{
		name: "ties", about: "60 records of one millisecond, a page boundary among them; and 20 of another, half of which are shown two minutes after the rest",
		happens: func(w *script, at time.Duration) {
			for _, product := range scenarioProducts {
				var recs []Record
				for range 60 {
					recs = append(recs, w.record(product, at))
				}
				for i := range 975 { // what a page of 1,000 begins with
					recs = append(recs, w.record(product, at+time.Second+time.Duration(i)*time.Millisecond))
				}
				w.show(at+2*time.Second, product, recs...)

				twice := at + 5*time.Minute
				for i := range 20 {
					w.show(twice+time.Duration(i/10)*2*time.Minute, product, w.record(product, twice))
				}
			}
		},
	},
	{
		name: "full-minutes", about: "Records dated exactly on the full minute, where windows meet",
		happens: func(w *script, at time.Duration) {
			start := w.begin.Add(at).Truncate(time.Minute).Sub(w.begin)
			for _, product := range scenarioProducts {
				for i := range 20 {
					created := start + time.Duration(i)*time.Minute
					w.show(created, product, w.record(product, created))
				}
			}
		},
	},
	{
		name: "late-by-seconds", about: "For 20 minutes each record is shown up to 45 seconds after its date, not in the order of the dates",
		happens: func(w *script, at time.Duration) {
			w.ordinary(at, at+20*time.Minute, scenarioGap, func() time.Duration { return time.Duration(w.rand.Int64N(int64(45 * time.Second))) })
		},
	},
	{
		name: "late-by-minutes", about: "20 records are shown 4 minutes after their dates, and 20 others 14 minutes after theirs",
		happens: func(w *script, at time.Duration) {
			for _, product := range scenarioProducts {
				for i := range 20 {
					created := at + time.Duration(i)*7*time.Second
					w.show(created+4*time.Minute, product, w.record(product, created))
					w.show(created+14*time.Minute, product, w.record(product, created))
				}
			}
		},
	},
	{
		name: "late-by-hours", about: "20 records are shown 3 hours after their dates", length: 4 * time.Hour,
		happens: func(w *script, at time.Duration) {
			for _, product := range scenarioProducts {
				for i := range 20 {
					created := at + time.Duration(i)*7*time.Second
					w.show(created+3*time.Hour, product, w.record(product, created))
				}
			}
		},
	},
	{
		name: "twins", about: "Records that are equal to the byte, Jira's id aside: ten pairs, and one ten times",
		happens: func(w *script, at time.Duration) {
			for _, product := range scenarioProducts {
				for i := range 10 {
					created := at + time.Duration(i)*11*time.Second
					w.show(created, product, w.twins(product, 2, created)...)
				}
				w.show(at+3*time.Minute, product, w.twins(product, 10, at+3*time.Minute)...)
			}
		},
	},
	{
		name: "renamed", about: "Three people get another name, so that records already read are served otherwise",
		happens: func(w *script, at time.Duration) {
			w.at(at, func(p *Play, _ time.Time) {
				for i, a := range engineers[:3] {
					p.s.Rename(a.account, numbered("Former Engineer", i))
				}
			})
		},
	},
	{
		name: "arrivals", about: "2,500 records of four seconds, and 7 new ones between the first page of them and the next",
		happens: func(w *script, at time.Duration) {
			fresh := map[string][]Record{}
			for _, product := range scenarioProducts {
				for range 7 {
					fresh[product] = append(fresh[product], w.record(product, 0))
				}
			}
			w.bulk(at, func(p *Play, product string) {
				for i := range fresh[product] {
					fresh[product][i].Created = p.s.now()
				}
				p.s.Add(product, fresh[product]...)
			})
		},
	},
	{
		name: "page-refused", about: "2,500 records of four seconds, and after the first page of them each answer is a 503 for a minute",
		happens: func(w *script, at time.Duration) {
			w.bulk(at, func(p *Play, product string) {
				p.during(p.s.now().Add(time.Minute), Fault{Product: product, Action: Unavailable(0, RetryUnsaid)})
			})
		},
	},
	{
		name: "page-broken", about: "2,500 records of four seconds, and the second page of them breaks off in the middle",
		happens: func(w *script, at time.Duration) {
			w.bulk(at, func(p *Play, product string) {
				p.s.Fault(Fault{Product: product, Times: 1, Action: Truncate(0.6)})
			})
		},
	},
	{
		name: "no-answer", about: "2,500 records of four seconds, and the request for the second page is never answered: the connection ends",
		happens: func(w *script, at time.Duration) {
			w.bulk(at, func(p *Play, product string) {
				p.s.Fault(Fault{Product: product, Times: 1, Action: Close()})
			})
		},
	},
	{
		name: "killed", about: "2,500 records of four seconds, and the collector is killed (kill -9) while it asks for the second page",
		happens: func(w *script, at time.Duration) {
			w.bulk(at, func(p *Play, product string) {
				p.mu.Lock()
				kill := p.kill
				p.mu.Unlock()
				if kill == nil {
					p.s.Fault(Fault{Product: product, Times: 1, Action: Reset()})
					return
				}
				p.s.Fault(Fault{Product: product, Times: 1, Action: Together(Do(func() { kill(product) }), Hang())})
			})
		},
	},
	{
		name: "rate-limit", about: "For 12 minutes each answer is a 429 that says until when to wait",
		happens: func(w *script, at time.Duration) {
			w.at(at, func(p *Play, at time.Time) {
				until := at.Add(12 * time.Minute)
				p.during(until, Fault{Action: Action{"rate limit", func(d *damage, s *Server) {
					rep := rateLimited(s.now(), until.Sub(s.now()), RetrySeconds, "jira-quota-tenant-based")
					d.instead = &rep
				}}})
			})
		},
	},
	{
		name: "outage", about: "For an hour each answer is a 503", length: 2 * time.Hour,
		happens: func(w *script, at time.Duration) {
			w.at(at, func(p *Play, at time.Time) {
				p.during(at.Add(time.Hour), Fault{Kind: AnyKind, Action: Unavailable(0, RetryUnsaid)})
			})
		},
	},
	{
		name: "asleep", about: "The collector's machine is off for an hour", length: 2 * time.Hour,
		asleep:  [2]time.Duration{scenarioMoment, scenarioMoment + time.Hour},
		happens: func(*script, time.Duration) {},
	},
}
