package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/state"
)

// BackfillOptions are what is read of the past, and how.
type BackfillOptions struct {
	// Since and Until bound what is wanted, Until excluded. A zero Since goes on with
	// what was wanted before; a zero Until is the present.
	Since, Until time.Time
	// PerMinute bounds the requests to a site, and PointsPerHour what they cost, on
	// average; 0 is the default (see BackfillPerMinute), below 0 is no bound.
	PerMinute, PointsPerHour int
	// Progress is told how things stand after each step, and each second while
	// nothing happens; nil is allowed.
	Progress func([]BackfillProgress)
	// Stop ends the backfill after the step that is under way; nil never does. The
	// context ends it at once.
	Stop <-chan struct{}
}

// BackfillTarget is one product of an instance.
type BackfillTarget struct {
	Config  *Config
	Product audit.Product
}

// BackfillProgress is how the reading of one product's past gets on.
type BackfillProgress struct {
	Instance string
	Product  audit.Product
	// Records are new in the spool, Requests were sent to the audit API, by this
	// backfill.
	Records, Requests int
	// Total is the span of time that is wanted, Left what of it is not read yet, and
	// Began what was not when the backfill began; 0 while that is not known.
	Total, Left, Began time.Duration
	// At is the time that is read next; zero where that is not known, or nothing.
	At time.Time
	// Why says what is waited for; empty where nothing is but the pace.
	Why string
	// Done and Failed are the two ends.
	Done, Failed bool
}

// BackfillResult is what became of one product.
type BackfillResult struct {
	// Instance is the site's host, and its context path where it has one.
	Instance string        `json:"instance"`
	Product  audit.Product `json:"product"`
	// Since and Until are what was wanted; nil where that is nothing.
	Since *time.Time `json:"since"`
	Until *time.Time `json:"until"`
	// Records are new in the spool, Requests were sent to the audit API.
	Records  int `json:"records"`
	Requests int `json:"requests"`
	// Done tells that all of it is read. LeftSeconds is the time that is not.
	Done        bool    `json:"done"`
	LeftSeconds float64 `json:"left_seconds"`
	// Notices are sentences for a person.
	Notices []string `json:"notices"`
	// Error is nil where nothing failed.
	Error *string `json:"error"`
}

const (
	// stepLength is how long a step reads on where no pace is to be kept: as long as
	// a run of the check may have to wait for it.
	stepLength = time.Second
	// stepGap is the least time between two steps of a stream, in which whoever
	// waits for its state gets it.
	stepGap = 60 * time.Millisecond
	// busyPause is how long a run of the check is given that holds the state, and
	// fullPause how long the Agent is given to deliver.
	busyPause = 250 * time.Millisecond
	fullPause = 10 * time.Second
	// retryFirst is the pause after a failure that passes, which doubles up to retryLast.
	retryFirst = 2 * time.Second
	retryLast  = 5 * time.Minute
	// doubtPause is the pause after an answer that is not believed.
	doubtPause = time.Minute
)

// errBackfill says that another process reads the same past.
var errBackfill = errors.New("another backfill of it is in progress: wait until it has ended, or end it (it goes on where it stopped)")

// errBackfillShared says what is not there: the shared position knows nothing of a
// history, so that a successor would deliver it again.
var errBackfillShared = errors.New("this version reads no history where several machines share a site (`state`), since a machine that takes over would not know of it: nothing was asked")

// backfill is one call of Backfill.
type backfill struct {
	o       BackfillOptions
	options Options
	jobs    []*job
	told    time.Time
}

// job is one product's part of a backfill.
type job struct {
	config  *Config
	product audit.Product
	folders folders
	secrets []string
	// tenant is the site and the pace at which it is asked, shared by its products.
	tenant *tenant
	lock   io.Closer
	next   time.Time
	// steps is how many there were: who had fewer comes first.
	steps int
	// failures counts those in a row that may pass.
	failures int
	// began is true once it is written down what is wanted, which is want.
	began bool
	want  audit.Interval
	// live tells that what the check collects is wanted too; idle counts the steps in
	// a row that got on with nothing of it.
	live bool
	idle int
	// given tells that what the check collects was left to it.
	given    bool
	progress BackfillProgress
	notices  []string
	err      error
}

// tenant is how a site is asked, by all of its products.
type tenant struct {
	site *site
	pace *pace
}

// Backfill reads the past of the targets, newest first, in steps between which the
// check goes on, until all of it is read, something fails for which a person must
// act, or it is stopped. The targets take turns. What is read is written down with
// each step: a backfill goes on where another one stopped, killed or not.
func Backfill(ctx context.Context, targets []BackfillTarget, o BackfillOptions, options Options) []BackfillResult {
	b := &backfill{o: o, options: options.withDefaults()}
	defer b.close()
	sites := map[string]*tenant{}
	for _, t := range targets {
		if sites[t.Config.Name()] == nil {
			sites[t.Config.Name()] = &tenant{pace: newPace(t.Config, o.PerMinute, o.PointsPerHour)}
		}
		b.jobs = append(b.jobs, b.begin(t, sites[t.Config.Name()]))
	}
	for {
		j := b.turn(ctx)
		if j == nil {
			break
		}
		j.steps++
		b.step(ctx, j)
		b.tell(true)
	}
	b.tell(true)
	out := []BackfillResult{}
	for _, j := range b.jobs {
		out = append(out, j.result())
	}
	return out
}

// begin prepares a job; what is wrong is its error.
func (b *backfill) begin(t BackfillTarget, a *tenant) *job {
	c := *t.Config
	c.Products = []audit.Product{t.Product}
	j := &job{config: &c, product: t.Product, folders: foldersOf(c.RunPath, c.Name()), tenant: a,
		secrets:  slices.DeleteFunc(c.Secrets(), func(s string) bool { return len(s) < 4 }),
		progress: BackfillProgress{Instance: c.Name(), Product: t.Product}}
	if c.Shared != nil {
		j.fail(fmt.Errorf("%s of %s: %w", t.Product, c.Name(), errBackfillShared))
		return j
	}
	err := j.folders.secure()
	if err == nil && a.site == nil {
		a.site, err = newSite(&c, b.options, j.folders.base)
	}
	if err == nil {
		if j.lock, err = state.LockBackfill(j.folders.state(t.Product)); errors.Is(err, state.ErrBusy) {
			err = errBackfill
		}
	}
	if err != nil {
		j.fail(fmt.Errorf("%s of %s: %w", t.Product, c.Name(), err))
	}
	return j
}

func (j *job) fail(err error) { j.err, j.progress.Failed, j.progress.Why = err, true, "" }

func (j *job) open() bool { return !j.progress.Done && !j.progress.Failed }

// ready is when the job may be gone on with.
func (j *job) ready() time.Time {
	if at := j.tenant.pace.next; at.After(j.next) {
		return at
	}
	return j.next
}

// turn waits for the job whose turn it is; nil where nothing is left, or it is over.
func (b *backfill) turn(ctx context.Context) *job {
	for {
		var first *job
		for _, j := range b.jobs {
			if !j.open() {
				continue
			}
			if first == nil || j.ready().Before(first.ready()) || j.ready().Equal(first.ready()) && j.steps < first.steps {
				first = j
			}
		}
		if first == nil || ctx.Err() != nil || b.stopped() {
			return nil
		}
		wait := first.ready().Sub(b.options.Now())
		if wait <= 0 {
			return first
		}
		b.tell(false)
		timer := time.NewTimer(min(wait, time.Second))
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-b.o.Stop:
		}
		timer.Stop()
	}
}

func (b *backfill) stopped() bool {
	select {
	case <-b.o.Stop:
		return true
	default:
		return false
	}
}

// tell reports the progress: at once, or where that was not done for a second.
func (b *backfill) tell(now bool) {
	if b.o.Progress == nil || !now && b.options.Now().Sub(b.told) < time.Second {
		return
	}
	b.told = b.options.Now()
	var all []BackfillProgress
	for _, j := range b.jobs {
		p := j.progress
		if p.Why == "" && j.open() {
			p.Why = j.tenant.pace.why
		}
		all = append(all, p)
	}
	b.o.Progress(all)
}

func (b *backfill) close() {
	for _, j := range b.jobs {
		if j.lock != nil {
			_ = j.lock.Close() // nothing was written to it
		}
		if j.tenant.site != nil {
			j.tenant.site.client.Close()
		}
	}
}

func (j *job) result() BackfillResult {
	out := BackfillResult{Instance: j.config.Name(), Product: j.product, Records: j.progress.Records, Requests: j.progress.Requests,
		Done: j.progress.Done, LeftSeconds: j.progress.Left.Seconds(), Notices: append([]string{}, j.notices...)}
	if !j.want.Empty() {
		since, until := moment(j.want.From), moment(j.want.To)
		out.Since, out.Until = &since, &until
	}
	if j.err != nil {
		text := redact(sentenceOf(j.err), j.secrets)
		out.Error = &text
	}
	return out
}
