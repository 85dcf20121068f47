package explore

import (
	"fmt"
	"os"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// happen is something at the site.
func (s *stream) happen() {
	r := s.rand
	n := 1 + r.IntN(12)
	what := pick(r, "add", "add", "add", "burst", "twins", "late", "later", "same", "rename", "ahead", "purge", "large")
	s.w.note(nil, fmt.Sprint(s.site.Name, ": records: ", what, " ", n))
	switch what {
	case "add":
		apart := time.Duration(1+r.IntN(2000)) * time.Millisecond
		for i := range n {
			s.add(1, apart*time.Duration(n-1-i))
		}
	case "burst":
		s.add(n+r.IntN(20), 0)
	case "twins":
		s.last = time.Now()
		s.stored(s.site.AddTwins(string(s.site.Product), 1+n%6, s.last))
	case "late":
		s.addAt(1+n%3, time.Now().Add(-time.Duration(r.Int64N(int64(14*time.Minute)))))
	case "later":
		s.addAt(1+n%3, time.Now().Add(-time.Duration(r.Int64N(int64(40*time.Hour)))))
	case "same":
		s.addAt(1+n%3, s.last)
	case "rename":
		if s.site.IDs || r.IntN(4) == 0 {
			s.site.RenameAll(fmt.Sprint("Name ", len(s.records)))
			s.renamed = true
		}
	case "purge":
		if r.IntN(6) == 0 {
			s.site.Purge(string(s.site.Product), time.Now().Add(-time.Duration(r.Int64N(int64(60*time.Hour)))))
			s.w.count("purges", 1)
		}
	case "large":
		if s.large > 0 {
			s.large--
			s.addLarge()
		}
	case "ahead":
		if r.IntN(3) == 0 {
			s.addAt(1, time.Now().Add(time.Duration(r.Int64N(int64(2*time.Hour)))))
		}
	}
}

// serve is something that the Agent does, or that happens to it.
func (w *world) serve() {
	w.serving.Lock()
	defer w.serving.Unlock()
	r, a := w.rand, w.agent
	what := pick(r, "work", "work", "read", "read", "arrive", "arrive", "arrive", "unheard", "flush", "flush", "restart", "lose", "dark", "down", "unreadable")
	if a.Down && what != "down" {
		return
	}
	w.note(nil, "the Agent: "+what)
	switch what {
	case "work":
		a.Work()
	case "read":
		a.Scan()
		a.Read(1 + r.IntN(3))
	case "arrive", "unheard":
		if n := a.InFlight(); n > 0 && !a.Dark {
			a.Arrive(r.IntN(n), what == "arrive")
		}
		if what == "unheard" {
			a.Restart()
		}
	case "flush":
		a.Flush()
	case "restart":
		a.Restart()
	case "lose":
		if r.IntN(4) == 0 {
			a.LoseRegistry()
		}
	case "dark":
		a.Dark = !a.Dark
	case "down":
		if a.Down = !a.Down; a.Down {
			a.Restart()
		}
	case "unreadable":
		a.Unreadable = !a.Unreadable
	}
}

// trouble is something rare that happens to the machine.
func (w *world) trouble() {
	r := w.rand
	what := pick(r, "the clock jumps", "the clock jumps", "the disk is nearly full", "the disk is nearly full", "the disk has room", "the state is lost", "the copy is lost", "the clock is right")
	w.note(nil, what)
	w.count(what, 1)
	switch what {
	case "the clock jumps":
		w.offset = time.Duration(r.Int64N(int64(pick(r, 2*time.Minute, 5*time.Hour, 30*time.Hour))))
		if r.IntN(2) == 0 {
			w.offset = -w.offset
		}
	case "the clock is right":
		w.offset = 0
	case "the disk is nearly full":
		w.capacity = w.used() + r.Int64N(3*minFree)
		w.disk.SetCapacity(w.capacity)
	case "the disk has room":
		w.capacity = -1
		w.disk.SetCapacity(w.capacity)
	case "the state is lost":
		if r.IntN(3) == 0 && len(w.running) == 0 {
			pick(r, w.streams...).lose()
		}
	case "the copy is lost":
		if len(w.running) == 0 {
			_ = os.Remove(pick(r, w.streams...).files.Copy) // there may be none
		}
	}
}

// wrong lets the next answers go wrong, in a way that an answer cannot hide.
func (s *stream) wrong() {
	w := s.w
	type way struct {
		name string
		a    atlassiantest.Action
	}
	f := pick(w.rand,
		way{"status 500", atlassiantest.ServerError(500)},
		way{"a connection reset", atlassiantest.Reset()},
		way{"an answer broken off", atlassiantest.Truncate(0.7)},
		way{"an answer that ends early", atlassiantest.TruncateQuietly(0.5)},
		way{"broken JSON", atlassiantest.MalformedJSON()},
		way{"no list", atlassiantest.MissingList()},
		way{"a short rate limit", atlassiantest.RateLimit(time.Second, atlassiantest.RetrySeconds)},
		way{"a rate limit", atlassiantest.RateLimit(5*time.Minute, atlassiantest.RetrySeconds)},
		way{"no answer", atlassiantest.Hang()},
		way{"status 403", atlassiantest.Answer(403, `{}`)},
		way{"a login page", atlassiantest.LoginPage()},
	)
	times := pick(w.rand, 1, 1, 2, 4)
	if w.rand.IntN(10) == 0 && w.began > s.lied+2 {
		// One list that is empty and should not be is asked for again.
		f, times, s.lied = way{"a false empty list", atlassiantest.EmptyList()}, 1, w.began
	}
	w.note(nil, fmt.Sprintf("%d answers of "+s.site.Name+" go wrong: %s", times, f.name))
	w.count("answers that go wrong", times)
	s.site.Fault(atlassiantest.Fault{Times: times, Action: f.a})
}
