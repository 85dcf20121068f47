package atlassian

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// Data Center writes an event of every search of its audit log, seconds after
// it, so also of each question that is asked here: collecting would feed itself.
// Searches by others are evidence, so one is only taken for our own when it is of
// the account that asks (as far as that is known), happened while one of our
// questions was under way, and found as many records as its answer held. Each
// question accounts for one event. Whoever uses the same account elsewhere is
// therefore seen, and in doubt an event of our own is delivered rather than one
// of somebody else left out.

const (
	// searchKey is what the event of a search is called in every language, and
	// resultsKey the attribute that counts what it found (observed).
	searchKey  = "atlassian.audit.event.action.audit.search"
	resultsKey = "atlassian.audit.event.attribute.results"
	// searchSlack is how far the clocks of the node that answered and of the one
	// that wrote may differ, ms. A Date header is in whole seconds.
	searchSlack = 5000
	// askedKept is for how long a question is remembered in any case, ms: also one
	// that was accounted for, since its event may be read again before it is
	// committed. Of the others askedOld are remembered for longer, for a run that
	// comes a day later; all together at most askedMost.
	askedKept = 10 * 60 * 1000
	askedOld  = 50
	askedMost = 500
)

// searches remembers our own questions, and recognises the events of them. Asked
// may be called at any time, the rest by one caller.
type searches struct {
	// account is the name of the account that asks, empty where it is not known.
	account string
	// signedIn is its name as the product told it; empty where it did not.
	signedIn string
	// now is the source's clock as far as it is known; timeout is how long a
	// question may be under way.
	now     func() time.Time
	timeout time.Duration

	mu    sync.Mutex
	asked []*audit.Asked
}

func newSearches(account string, was []audit.Asked, now func() time.Time, timeout time.Duration) *searches {
	s := &searches{account: account, now: now, timeout: timeout}
	for _, a := range was {
		s.asked = append(s.asked, &a)
	}
	return s
}

// Asked are the questions whose events are still to be recognised, to be kept
// for the next run. It may be called while a question is under way.
func (s *searches) Asked() []audit.Asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]audit.Asked, 0, len(s.asked))
	for _, a := range s.asked {
		out = append(out, *a)
	}
	return out
}

// open marks a question that has no answer yet.
const open = -2

// begin forgets what is not needed any more.
func (s *searches) begin() {
	now := s.now().UnixMilli()
	s.mu.Lock()
	defer s.mu.Unlock()
	old := 0
	for _, a := range s.asked {
		if now-a.Until > askedKept && a.Record == "" {
			old++
		}
	}
	s.asked = slices.DeleteFunc(s.asked, func(a *audit.Asked) bool {
		if now-a.Until <= askedKept {
			return false
		}
		if a.Record == "" {
			old--
		}
		return a.Record != "" || old >= askedOld
	})
	if n := len(s.asked) - askedMost; n > 0 {
		s.asked = slices.Delete(s.asked, 0, n)
	}
}

// sent notes that a question goes out.
func (s *searches) sent() {
	now := s.now().UnixMilli()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, &audit.Asked{At: now, Until: now + s.timeout.Milliseconds(), Count: open})
}

// answered notes what the last question found; those before it, which were
// tried again, may have been carried out all the same.
func (s *searches) answered(count int) {
	now := s.now().UnixMilli()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, a := range s.asked {
		if a.Count != open {
			continue
		}
		a.Count = -1
		if i == len(s.asked)-1 && count >= 0 {
			a.Count, a.Until = count, max(now, a.At)
		}
	}
}

// own reports whether the record is the event of one of our own questions.
func (s *searches) own(r *audit.Record) bool {
	if !r.Dated || r.ID != "" || !bytes.Contains(r.Raw, []byte(searchKey)) {
		return false
	}
	var e struct {
		Author     searchAuthor `json:"author"`
		Type       searchType   `json:"type"`
		File       searchType   `json:"auditType"`
		Attributes []struct {
			Key   string          `json:"nameI18nKey"`
			Value json.RawMessage `json:"value"`
		} `json:"extraAttributes"`
	}
	if json.Unmarshal(r.Raw, &e) != nil || e.Type.Action != searchKey && e.File.Action != searchKey ||
		s.account != "" && !e.Author.is(s.account) || s.signedIn != "" && e.Author.isNot(s.signedIn) {
		return false
	}
	found := -1
	for _, a := range e.Attributes {
		if a.Key == resultsKey {
			if n, err := strconv.Atoi(strings.Trim(string(a.Value), `"`)); err == nil {
				found = n
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var best *audit.Asked
	for _, a := range s.asked {
		switch {
		case a.Record == r.Keys.Fingerprint:
			return true
		case a.Record != "" || r.Millis < a.At-searchSlack || r.Millis > a.Until+searchSlack:
		case a.Count >= 0 && found >= 0 && a.Count != found:
		case best == nil || distance(a, r, found) < distance(best, r, found):
			best = a
		}
	}
	if best == nil {
		return false
	}
	best.Record = r.Keys.Fingerprint
	return true
}

// searchAuthor is who searched. Whether the name is the user name or the one that
// people read, and choose, is not documented; the address of the profile page
// has the user name (observed), and then it alone counts.
type searchAuthor struct {
	Name string `json:"name"`
	URI  string `json:"uri"`
}

func (a searchAuthor) is(account string) bool {
	return strings.EqualFold(account, cmp.Or(a.profile(), a.Name))
}

// isNot reports what is certain: the page is somebody else's.
func (a searchAuthor) isNot(account string) bool {
	name := a.profile()
	return name != "" && !strings.EqualFold(account, name)
}

// profile is the user name in the address of the profile page.
func (a searchAuthor) profile() string {
	u, err := url.Parse(a.URI)
	if err != nil {
		return ""
	}
	q := u.Query()
	return cmp.Or(q.Get("name"), q.Get("username"))
}

type searchType struct {
	Action string `json:"actionI18nKey"`
}

// distance tells how well a question fits an event: better where both counted
// the same, and the nearer the better.
func distance(a *audit.Asked, r *audit.Record, found int) int64 {
	d := max(a.At-r.Millis, r.Millis-a.Until, 0)
	if a.Count < 0 || a.Count != found {
		d += 2 * searchSlack
	}
	return d
}
