package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/collect"
	"atlassian_audit_records/pkg/shared"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/state"
)

// stream is one product in a run, and what became of it.
type stream struct {
	product audit.Product
	files   state.Files
	store   *state.Store
	// before is the position that the run began with; known is false where it
	// could not be read.
	before    audit.Position
	known     bool
	source    *source
	collector *collect.Collector
	// names are nil where people are not to be resolved.
	names *names
	// undelivered is what the Agent has not taken yet; nil where that is not known.
	undelivered *Undelivered
	// look says where a person sees why that is so.
	look string
	// tracker follows the product's files; nil where it could not. delivery counts
	// what it did.
	tracker  *spool.Tracker
	delivery spool.Outcome

	// waited is true where what a run before had staged has its file only since the
	// collector was opened, perhaps: the tracker has not seen that.
	waited bool

	// busy is true where another run is in progress.
	busy bool
	// idle says why nothing was asked, or nothing more: to wait, a full spool, or that
	// another machine does.
	idle string
	// standby says which; empty where none does.
	standby string
	// restored is true where the state was put in the place of a lost one, and head is
	// what machines share of the product; nil where that is nothing, or not known.
	restored bool
	head     *shared.Head
	// paused is true where that is a full spool.
	paused bool
	// cut is true where the time was over in the midst of reading.
	cut bool
	// clock says that this machine's clock is off; empty where it is not.
	clock string
	err   error
}

// ready reports whether Atlassian may be asked about the product.
func (s *stream) ready() bool { return !s.busy && s.idle == "" && s.err == nil }

// endpoint is where the records of a product come from.
type endpoint interface {
	collect.Source
	// Route is what was found out about the way there, worth keeping.
	Route() string
	// Requests and Throttled count what was asked, and how often a wait was asked
	// for.
	Requests() int
	Throttled() int
}

// endpoint is where the product's records come from, with what is remembered of it.
func (s *site) endpoint(c *Config, p audit.Product, cloudID string, before audit.Position) endpoint {
	if c.AuditLogPath != "" {
		return atlassian.NewLogFiles(atlassian.LogFilesOptions{Dir: c.AuditLogPath, Site: c.Name(), Product: p, Asked: before.Asked, Now: s.client.Now})
	}
	if c.Deployment == DataCenter {
		return s.client.DataCenter(atlassian.DataCenterOptions{
			Product: p, Account: c.Auth.Username, Route: before.Route, Asked: before.Asked,
		})
	}
	return s.client.Source(p, cloudID, before.Route)
}

// source counts the answers that were good, and keeps the last failure until
// one is: the collector says nothing of an answer that the end of the time cut
// off, which is all there is to say where no other came.
type source struct {
	endpoint
	good int
	// records is how many the good answers held.
	records int
	failed  error
	first   func()
	// room is asked before each question.
	room func() error
}

// Asked are the questions that the endpoint wants to be remembered.
func (s *source) Asked() []audit.Asked {
	if e, ok := s.endpoint.(interface{ Asked() []audit.Asked }); ok {
		return e.Asked()
	}
	return nil
}

// Page implements collect.Source.
func (s *source) Page(ctx context.Context, q audit.Query) (audit.Page, error) {
	return s.note(s.roomy(ctx, q, s.endpoint.Page))
}

// Prefetch implements collect.Prefetcher, as far as the endpoint does.
func (s *source) Prefetch(ctx context.Context, q audit.Query, next func(oldest int64) (audit.Query, bool)) (audit.Page, error) {
	p, ok := s.endpoint.(collect.Prefetcher)
	if !ok {
		return s.Page(ctx, q)
	}
	return s.note(s.roomy(ctx, q, func(ctx context.Context, q audit.Query) (audit.Page, error) {
		return p.Prefetch(ctx, q, next)
	}))
}

// Settle implements collect.Prefetcher.
func (s *source) Settle() {
	if p, ok := s.endpoint.(collect.Prefetcher); ok {
		p.Settle()
	}
}

// note takes note of an answer.
func (s *source) note(page audit.Page, err error) (audit.Page, error) {
	if s.failed = err; err != nil {
		return page, err
	}
	s.records += len(page.Records)
	if s.good++; s.good == 1 {
		s.first()
	}
	return page, nil
}

// backfillWait is how long a run waits for the step of a backfill that is under way.
const backfillWait = 5 * time.Second

// openStates opens what is remembered of each product.
func (r *run) openStates() {
	for _, s := range r.streams {
		o := state.Options{Now: r.options.Now, Holds: func(b audit.Batch) error {
			s.waited = true
			dir, err := r.folders.spool(s.product, r.options, true)
			if err != nil {
				return err
			}
			return dir.Holds(b)
		}}
		store, notice, err := state.Open(s.files, o)
		if errors.Is(err, state.ErrBusy) && !r.backfill && state.Backfilling(s.files) {
			budget, _ := Budget(r.config)
			o.Lock = min(backfillWait, budget/2)
			store, notice, err = state.Open(s.files, o)
		}
		if errors.Is(err, state.ErrBusy) {
			s.busy = true
			r.report.Log("info", fmt.Sprintf("%s of %s: another run is in progress, this one leaves it alone", s.product, r.config.Name()))
			continue
		}
		if err != nil {
			s.err = r.local(s, err)
			continue
		}
		s.store = store
		if notice != "" {
			s.restored = true
			text := fmt.Sprintf("%s of %s: %s", s.product, r.config.Name(), notice)
			r.report.Warning(text)
			r.sender.Event(s.product, "warning", "Atlassian audit records: a state was replaced", text,
				"atlassian_audit_records.state:"+r.config.Name()+":"+string(s.product))
		}
		if s.before, err = store.Position(); err != nil {
			s.err = r.local(s, err)
			continue
		}
		s.known = true
		if s.before.CloudID != "" && r.cloudID == "" {
			r.cloudID = s.before.CloudID
		}
		s.idle = r.waits(s.before)
	}
}

// waits says until when, and why, nothing is asked; empty where there is no wait.
func (r *run) waits(p audit.Position) string {
	now, until := r.options.Now(), time.UnixMilli(p.WaitUntil)
	if now.Before(until) && until.Sub(now) <= maxWait {
		return waiting(until, p.WaitReason)
	}
	return ""
}

// waiting says until when, and why, nothing is asked.
func waiting(until time.Time, reason string) string {
	text := "Atlassian is not asked before " + until.UTC().Format(time.RFC3339)
	if reason != "" {
		text += ": " + reason
	}
	return text
}

// openCollectors completes what the last run left behind. Without a product
// that may be asked about, nothing is sent.
func (r *run) openCollectors(ctx context.Context) {
	var err error
	if r.site == nil {
		if r.site, err = newSite(r.config, r.options, r.folders.base); err != nil {
			r.fail(err)
			return
		}
	}
	var lookup error
	for _, s := range r.streams {
		switch {
		case !s.ready() || lookup != nil || r.config.Deployment != Cloud:
			// Data Center has no cloudId, nor has an organisation.
		case r.cloudID == "":
			r.cloudID, lookup = r.site.client.CloudID(ctx)
		case !s.before.FloorSet:
			// The first run of a product counts back from Atlassian's clock, which
			// this answer tells; without it, this machine's has to do.
			_, _ = r.site.client.CloudID(ctx)
		}
	}
	for _, s := range r.streams {
		if s.busy || s.err != nil {
			continue
		}
		if err := r.openCollector(ctx, s); err != nil {
			s.err = r.local(s, err)
		}
	}
	for _, s := range r.streams {
		if lookup != nil && s.ready() {
			r.settle(s, lookup)
		}
	}
}

func (r *run) openCollector(ctx context.Context, s *stream) (err error) {
	redaction, err := r.config.Redact.redaction()
	if err != nil {
		return fmt.Errorf("redact: %w", err)
	}
	if err := r.openNames(s); err != nil {
		return err
	}
	// What several machines share counts a file that is nowhere as delivered.
	dir, err := r.folders.spool(s.product, r.options, r.shared.lease == nil)
	if err != nil {
		return err
	}
	s.source = &source{
		endpoint: r.site.endpoint(r.config, s.product, r.cloudID, s.before),
		room: func() error {
			if err := r.mayCollect(); err != nil {
				return err
			}
			return r.hasRoom()
		},
		first: func() { s.collector.SetSite(r.cloudID, s.source.Route()) },
	}
	o := collect.Options{
		Stream:            r.config.stream(s.product, r.cloudID),
		Service:           r.config.Service,
		Tags:              r.config.Tags,
		Redact:            redaction,
		Now:               r.options.Now,
		ServerNow:         r.site.client.Now,
		InitialLookback:   r.config.InitialLookback,
		Lookback:          r.config.Lookback,
		ReconcileWindow:   r.config.ReconcileWindow,
		ReconcileInterval: r.config.ReconcileInterval,
		PageSize:          r.options.PageSize,
		BatchSize:         int(min(maxBatch, r.config.SpoolMaxSize/16)),
		Mark:              func(resume int64) error { return r.mark(ctx, s, resume) },
	}
	if s.names != nil {
		o.Names = s.names
	}
	var kept collect.State = s.store
	if r.shared.lease != nil {
		kept = leased{s.store, r.mayCollect}
	}
	if s.collector, err = collect.Open(o, kept, dir, s.source); err != nil {
		return err
	}
	s.collector.SetSite(r.cloudID, s.before.Route)
	return nil
}
