package collect_test

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// latency is how long an answer takes, letGo how long a network takes to notice that
// nobody waits for it.
const latency, letGo = 10 * time.Second, time.Second

// underWay counts the requests that a network, slow to let go of them, has on their way.
type underWay struct {
	http.RoundTripper
	n *atomic.Int64
}

func (u underWay) RoundTrip(r *http.Request) (*http.Response, error) {
	u.n.Add(1)
	defer u.n.Add(-1)
	resp, err := u.RoundTripper.RoundTrip(r)
	if err != nil {
		pass(letGo)
	}
	return resp, err
}

// TestNothingIsUnderWayWhenARunEnds, at whichever commit it fails: a page that was asked
// for ahead is neither waited for nor left to itself.
func TestNothingIsUnderWayWhenARunEnds(t *testing.T) {
	t.Parallel()
	asking(t, func(t *testing.T, m *machine) {
		if k := (kind{m.site.Kind}); !k.counted() {
			return
		}
		var n atomic.Int64
		m.asker.Transport = func(base http.RoundTripper) http.RoundTripper { return underWay{base, &n} }
		m.o.PageSize, m.o.BatchSize = 10, 1
		m.site.add(100, time.Minute, time.Hour)
		m.site.quirks(func(q *quirks) { q.Latency = latency })
		m.budget = time.Hour
		failure := errors.New("the disk is full")
		for failing := 3; failing <= 6; failing++ {
			commits, failed := 0, time.Now()
			m.fault = func(call string) error {
				if call != "Commit" {
					return nil
				}
				if commits++; commits == failing {
					failed = time.Now()
					return failure
				}
				return nil
			}
			pass(interval)
			if _, err := m.run(); !errors.Is(err, failure) {
				t.Fatalf("commit %d failed, and the run said: %v", failing, err)
			}
			if left := n.Load(); left != 0 {
				t.Errorf("commit %d failed: %d requests were left on their way", failing, left)
			}
			// It is noticed when the page that was asked for meanwhile is to be committed.
			if more := time.Since(failed); more > latency+letGo {
				t.Errorf("commit %d failed: the run went on for %s", failing, more)
			}
		}
		m.fault = nil
		_, err := m.settle()
		must(t, err)
		must(t, m.exactly())
	})
}
