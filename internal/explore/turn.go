package explore

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"testing/synctest"
)

// errKilled is what a process is told of everything once it was killed. Nothing of
// it is ever seen by anybody.
var errKilled = errors.New("the process was killed")

// turns gives one operation at a time its turn. Whoever wants to do something that
// others could see asks, and waits; the answer comes when all that can go on without
// an answer has come to a rest.
type turns struct {
	mu      sync.Mutex
	waiting []*turn
	arrived chan struct{}
}

// turn is an operation that waits.
type turn struct {
	who *process
	// op says what it is, the same in each life of a seed.
	op    string
	reply chan error
}

func newTurns() *turns { return &turns{arrived: make(chan struct{}, 1)} }

// ask waits for a turn. An error is what the operation has to answer instead of
// being done.
func (t *turns) ask(p *process, op string) error {
	if p.dead.Load() {
		return errKilled
	}
	next := &turn{p, op, make(chan error)}
	t.mu.Lock()
	t.waiting = append(t.waiting, next)
	t.mu.Unlock()
	t.wake()
	return <-next.reply
}

// wake ends a wait of next.
func (t *turns) wake() {
	select {
	case t.arrived <- struct{}{}:
	default:
	}
}

// next are the operations that wait, in an order that does not depend on who came
// first, once nothing goes on by itself. Where there is none, time goes by until
// somebody comes; over says that nobody will.
func (t *turns) next(over func() bool) []*turn {
	for {
		synctest.Wait()
		select {
		case <-t.arrived:
		default:
		}
		t.mu.Lock()
		all := slices.Clone(t.waiting)
		t.mu.Unlock()
		if len(all) > 0 {
			slices.SortFunc(all, func(a, b *turn) int {
				return cmp.Or(cmp.Compare(a.who.id, b.who.id), cmp.Compare(a.op, b.op))
			})
			return all
		}
		if over() {
			return nil
		}
		<-t.arrived
	}
}

// give lets an operation go on, or fail.
func (t *turns) give(to *turn, verdict error) {
	t.mu.Lock()
	t.waiting = slices.DeleteFunc(t.waiting, func(x *turn) bool { return x == to })
	t.mu.Unlock()
	to.reply <- verdict
}

// drop fails everything that a process waits for.
func (t *turns) drop(p *process) {
	t.mu.Lock()
	var his []*turn
	t.waiting = slices.DeleteFunc(t.waiting, func(x *turn) bool {
		if x.who == p {
			his = append(his, x)
		}
		return x.who == p
	})
	t.mu.Unlock()
	for _, x := range his {
		x.reply <- errKilled
	}
}
