package kube

import (
	"context"
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
// it takes the others to go on. Whatever the order, each head that was written is the
// next one of the head that its writer read, and whoever reads finds all that a head
// names.
func TestNoOrderOfRequestsLetsTwoWrite(t *testing.T) {
	t.Parallel()
	refused := 0
	for seed := range uint64(orders) {
		synctest.Test(t, func(t *testing.T) {
			w := &orderly{t: t, seed: seed, fake: kubetest.NewUnserved(), random: rand.New(rand.NewPCG(seed, 7)), next: map[string]string{}, written: map[string]bool{}, twins: seed%3 == 0}
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
	refused int
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
			answer := httptest.NewRecorder()
			o.fake.ServeHTTP(answer, q)
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
		w.fine("Hold", err)
		w.claim.Memory = g.Memory
		if !g.Held {
			continue
		}
		n, head := w.head(ctx)
		fresh := fmt.Sprintf("%d:%s-%s", n+1, w.claim.Holder.Host, shared.NewID())
		err = w.store.Write(ctx, g, shared.Write{
			First: []shared.Value{{Key: seenKey(n + 1), Bytes: []byte(fresh)}},
			Last:  []shared.Value{{Key: headKey, Bytes: []byte(fresh)}},
			Drop:  []string{seenKey(n)},
		})
		switch {
		case err == nil:
			if other, ok := w.o.next[head]; ok && !w.o.twins {
				w.t.Errorf("two heads were written behind %q: %q and %q", head, other, fresh)
			}
			w.o.next[head], w.o.written[fresh] = fresh, true
		case shared.KindOf(err) == shared.Lost:
			w.o.refused++
		default:
			w.fine("Write", err)
		}
		if w.o.random.IntN(4) == 0 {
			w.fine("Release", w.store.Release(ctx, w.claim, g))
		}
	}
}

// fine fails unless there is no error, but what is changed all the time.
func (w *worker) fine(doing string, err error) {
	if err != nil && !strings.Contains(err.Error(), "all the time") {
		w.t.Errorf("%s: %s: %v", w.claim.Holder.Host, doing, err)
	}
}

// head reads the head and what it names.
func (w *worker) head(ctx context.Context) (n int, head string) {
	values, err := w.store.Read(ctx, []string{headKey})
	w.fine("Read", err)
	head = string(values[headKey])
	if head == "" {
		return 0, ""
	}
	if !w.o.written[head] {
		w.t.Errorf("%s read the head %q, which nobody wrote", w.claim.Holder.Host, head)
	}
	number, _, _ := strings.Cut(head, ":")
	n, err = strconv.Atoi(number)
	w.fine("Atoi", err)
	both, err := w.store.Read(ctx, []string{headKey, seenKey(n), seenKey(n + 1)})
	w.fine("Read", err)
	if now := string(both[headKey]); now == head && string(both[seenKey(n)]) != head || now == "" {
		w.t.Errorf("%s: behind %q stand %q", w.claim.Holder.Host, head, both)
	}
	return n, head
}
