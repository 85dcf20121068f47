package kube

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"

	"atlassian_audit_records/cmd/atlassian-audit-records-shared/internal/kubetest"
	"atlassian_audit_records/pkg/shared"
)

// orders is how many orders of requests are tried.
const orders = 150

// TestNoOrderOfRequestsLetsTwoWrite: three machines take the lease from each other and
// write, and before each of their requests any of them may be paused for as long as
// it takes the others to go on. In some orders requests or answers are lost. Whatever
// the order, each head that was written is the
// next one of the head that its writer read, and whoever reads finds all that a head
// names.
func TestNoOrderOfRequestsLetsTwoWrite(t *testing.T) {
	t.Parallel()
	refused := 0
	for seed := range uint64(orders) {
		synctest.Test(t, func(t *testing.T) {
			w := &orderly{t: t, seed: seed, fake: kubetest.NewUnserved(), random: rand.New(rand.NewPCG(seed, 7)), next: map[string]string{}, written: map[string]bool{}, perhaps: map[string]string{}, twins: seed%3 == 0}
			if seed%2 == 0 {
				w.lossy = 20
			}
			w.run()
			refused += w.refused
		})
		if t.Failed() {
			t.Fatalf("the order of seed %d", seed)
		}
	}
	if refused < orders/2 {
		t.Errorf("of %d orders, few had a holder that was refused: %d", orders, refused)
	}
}

// orderly lets one request after the other go.
type orderly struct {
	t       *testing.T
	seed    uint64
	fake    *kubetest.Fake
	random  *rand.Rand
	waiting []*request
	workers []*worker
	// next is, by each head, the one that was written behind it.
	next    map[string]string
	written map[string]bool
	// perhaps are heads of which it is not known whether they were written, and behind
	// which.
	perhaps map[string]string
	refused int
	// lossy tells that one of so many requests or answers is lost; 0 for none.
	lossy int
	// twins tells that the last worker is another process of the first one's machine,
	// with the same lease: which does not happen as long as the state has a lock. What
	// the one writes the other may replace; still nothing may be torn.
	twins bool
}

type request struct {
	of    *worker
	ready chan struct{}
}

// worker is a machine. Its own clock stands still unless it looks at another's lease,
// so that it never knows that its own is over.
type worker struct {
	*machine
	o *orderly
}

const (
	workers = 3
	rounds  = 5
	headKey = "sites/example.atlassian.net/jira/head"
)

func seenKey(n int) string { return fmt.Sprintf("sites/example.atlassian.net/jira/seen/%d", n) }

func (o *orderly) run() {
	arrivals := make(chan *request)
	ended := make(chan struct{})
	for i := range workers {
		w := &worker{o: o, machine: &machine{t: o.t, hours: &hours{}, claim: claim(fmt.Sprintf("web-%d", i))}}
		if o.twins && i == workers-1 {
			w.claim = claim("web-0")
		}
		way := &rest.Config{Host: "http://kubernetes", Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
			r := &request{w, make(chan struct{})}
			arrivals <- r
			<-r.ready
			if q.Body == nil { // as a server's never is
				q.Body = http.NoBody
			}
			lost := o.lossy > 0 && o.random.IntN(o.lossy) == 0
			if lost && o.random.IntN(2) == 0 {
				return nil, errLost
			}
			answer := httptest.NewRecorder()
			o.fake.ServeHTTP(answer, q)
			if lost {
				return nil, errLost
			}
			return answer.Result(), nil
		})}
		w.store = mustOpen(o.t, "fleet", way, w.hours.now)
		o.workers = append(o.workers, w)
		go func() {
			w.work()
			ended <- struct{}{}
		}()
	}
	var favoured *worker
	for left := workers; left > 0; {
		synctest.Wait()
		for more := true; more; {
			select {
			case r := <-arrivals:
				o.waiting = append(o.waiting, r)
			case <-ended:
				left--
			default:
				more = false
			}
			synctest.Wait()
		}
		if len(o.waiting) == 0 {
			continue
		}
		// Mostly the same machine goes on, so that the others are far behind.
		if favoured == nil || o.random.IntN(8) == 0 {
			favoured = o.workers[o.random.IntN(workers)]
		}
		if o.random.IntN(12) == 0 {
			favoured.hours.pass(200 * time.Second)
			o.fake.Pass(200 * time.Second)
		}
		i := o.random.IntN(len(o.waiting))
		for j, r := range o.waiting {
			if r.of == favoured && o.random.IntN(2) == 0 {
				i = j
			}
		}
		r := o.waiting[i]
		o.waiting = slices.Delete(o.waiting, i, i+1)
		close(r.ready)
	}
}

// work is a few runs of a machine.
func (w *worker) work() {
	ctx := w.t.Context()
	for range rounds {
		g, err := w.store.Hold(ctx, w.claim)
		if w.fine("Hold", err); err != nil {
			continue
		}
		w.claim.Memory = g.Memory
		if !g.Held {
			continue
		}
		n, head, ok := w.head(ctx)
		if !ok {
			continue
		}
		fresh := fmt.Sprintf("%d:%s-%s", n+1, w.claim.Holder.Host, shared.NewID())
		err = w.store.Write(ctx, g, shared.Write{
			First: []shared.Value{{Key: seenKey(n + 1), Bytes: []byte(fresh)}},
			Last:  []shared.Value{{Key: headKey, Bytes: []byte(fresh)}},
			Drop:  []string{seenKey(n)},
		})
		switch {
		case err == nil:
			w.o.wrote(head, fresh)
		case shared.KindOf(err) == shared.Lost:
			w.o.refused++
		default:
			w.o.perhaps[fresh] = head
			w.fine("Write", err)
		}
		if w.o.random.IntN(4) == 0 {
			w.fine("Release", w.store.Release(ctx, w.claim, g))
		}
	}
}

// wrote notes that a head was written behind another one, which happens once.
func (o *orderly) wrote(behind, head string) {
	if other, ok := o.next[behind]; ok && !o.twins {
		o.t.Errorf("two heads were written behind %q: %q and %q", behind, other, head)
	}
	o.next[behind], o.written[head] = head, true
}

var errLost = errors.New("it was lost on the way")

// fine fails unless there is no error, but one on the way, or that it is changed all
// the time.
func (w *worker) fine(doing string, err error) {
	if err != nil && !strings.Contains(err.Error(), "all the time") && (w.o.lossy == 0 || !strings.Contains(err.Error(), errLost.Error())) {
		w.t.Errorf("%s: %s: %v", w.claim.Holder.Host, doing, err)
	}
}

// head reads the head and what it names; not ok where an answer was lost.
func (w *worker) head(ctx context.Context) (n int, head string, ok bool) {
	values, err := w.store.Read(ctx, []string{headKey})
	if w.fine("Read", err); err != nil {
		return 0, "", false
	}
	head = string(values[headKey])
	if head == "" {
		return 0, "", true
	}
	if behind, ok := w.o.perhaps[head]; ok && !w.o.written[head] {
		w.o.wrote(behind, head)
	}
	if !w.o.written[head] {
		w.t.Errorf("%s read the head %q, which nobody wrote", w.claim.Holder.Host, head)
	}
	number, _, _ := strings.Cut(head, ":")
	n, err = strconv.Atoi(number)
	w.fine("Atoi", err)
	both, err := w.store.Read(ctx, []string{headKey, seenKey(n), seenKey(n + 1)})
	if w.fine("Read", err); err != nil {
		return 0, "", false
	}
	if now := string(both[headKey]); now == head && string(both[seenKey(n)]) != head || now == "" {
		w.t.Errorf("%s: behind %q stand %q", w.claim.Holder.Host, head, both)
	}
	return n, head, true
}
