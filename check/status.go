package check

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/state"
)

// peekWait is how long a state in use is waited for: a run holds it as long as
// it works.
const peekWait = 300 * time.Millisecond

// InstanceStatus is how things stand with one instance, as far as the files of
// its run path tell. Times are in UTC.
type InstanceStatus struct {
	// Where names the instance to a person, Instance is the site's host.
	Where      string           `json:"where"`
	Instance   string           `json:"instance"`
	Credential CredentialStatus `json:"credential"`
	// Shared is what is known of other machines; nil where the site is not shared.
	Shared   *SharedStatus   `json:"shared,omitempty"`
	Products []ProductStatus `json:"products"`
}

// CredentialStatus is how an instance signs in.
type CredentialStatus struct {
	// Type is empty where audit log files are read, which takes none.
	Type AuthType `json:"type"`
	// Kind is what was found out about an API token: "classic", or "scoped" for
	// one that works through the gateway only; empty where nothing was yet.
	Kind string `json:"kind,omitempty"`
	// Expires is left out where it is unknown; Shown tells it to a person.
	Expires time.Time `json:"expires,omitzero"`
	Shown   string    `json:"-"`
	// Status is that of ExpiryNotice.
	Status  Status `json:"status"`
	Message string `json:"message,omitempty"`
}

// SharedStatus is who collects a site that several machines share, as the last run
// on this one found it.
type SharedStatus struct {
	Store string `json:"store"`
	// Asked is when the store was asked last; zero for never.
	Asked time.Time `json:"asked,omitzero"`
	// Held tells that this machine had the lease then, until Until.
	Held  bool      `json:"held"`
	Until time.Time `json:"until,omitzero"`
	// Holder is whose it was, since Since by that machine's clock.
	Holder string    `json:"holder,omitempty"`
	Since  time.Time `json:"since,omitzero"`
}

// sharedStatus is nil where the site is not shared.
func sharedStatus(c *Config, f folders) *SharedStatus {
	if c.Shared == nil {
		return nil
	}
	out := &SharedStatus{Store: c.Shared.store().Name()}
	if n, ok := peekLease(f.lease()); ok {
		out.Asked, out.Held, out.Holder, out.Since = moment(n.Asked), n.Held, n.Holder.Host, n.Holder.Since.UTC()
		if n.Held {
			out.Until = moment(n.Until)
		}
	}
	return out
}

// ProductStatus is how things stand with one product of an instance.
type ProductStatus struct {
	Product audit.Product `json:"product"`
	// Source says where this comes from: "state", "last run" where the state is
	// in use, "copy" where it is and no run left anything, "none" where there is
	// nothing. Note says so in a sentence; empty for "state".
	Source string `json:"source"`
	Note   string `json:"note,omitempty"`
	// Running is true while a run is in progress.
	Running bool `json:"running"`
	// Covered is from the oldest to the newest that was read; Gaps are what is
	// missing in between, and below it as far as it is wanted, newest first.
	Covered *Span  `json:"covered"`
	Gaps    []Span `json:"gaps"`
	// History is what a backfill was asked for and has not read yet, newest first.
	History []Span `json:"history,omitempty"`
	// Newest is the time of the newest record read.
	Newest *time.Time `json:"newest_record"`
	// LagSeconds is the time since the records were last read up to the present.
	LagSeconds *float64 `json:"lag_seconds"`
	// Undelivered is what lies in the spool and is not delivered; nil where that
	// is not known.
	Undelivered *Undelivered `json:"undelivered"`
	// Wait is nil where nothing is waited for.
	Wait *Wait `json:"wait"`
	// LastRun is nil where none left anything behind.
	LastRun *LastRunStatus `json:"last_run"`
	// Failure is the last error, nil where there never was one.
	Failure *LastError `json:"last_error"`
	// CanConnect and IsCurrent are what the last run's service checks said.
	CanConnect *Judgement `json:"can_connect"`
	IsCurrent  *Judgement `json:"is_current"`
	// Act says what a person must do now; empty for nothing.
	Act []string `json:"act"`
}

// Span is a span of time, both ends included.
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Undelivered is what the Agent has not delivered yet of one product.
type Undelivered struct {
	Bytes      int64   `json:"bytes"`
	AgeSeconds float64 `json:"age_seconds"`
	// DeliveredTo is up to when everything collected is delivered; nil where that
	// is up to the newest record.
	DeliveredTo *time.Time `json:"delivered_to"`
	// TakenOut is the part of Bytes that is about to be spooled again as late, and
	// GivenUp are the names of files whose end was never acknowledged.
	TakenOut int64    `json:"taken_out,omitempty"`
	GivenUp  []string `json:"given_up,omitempty"`
}

// Wait is until when Atlassian is not asked, and why.
type Wait struct {
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
}

// LastRunStatus is the last run in short.
type LastRunStatus struct {
	Began    time.Time `json:"began"`
	Ended    time.Time `json:"ended"`
	Outcome  Outcome   `json:"outcome"`
	Records  int       `json:"records"`
	Requests int       `json:"requests"`
	Program  string    `json:"program,omitempty"`
}

// MustAct reports whether a person must do something about the instance.
func (s InstanceStatus) MustAct() bool {
	for _, p := range s.Products {
		if len(p.Act) > 0 {
			return true
		}
	}
	return s.Credential.Status == StatusCritical
}

// StatusOf tells how things stand with an instance. It asks nobody, changes
// nothing and holds up no run: where one is in progress, it shows what the last
// one left behind.
func StatusOf(in Instance, now time.Time) (InstanceStatus, error) {
	c := in.Config
	out := InstanceStatus{Where: in.Where, Instance: c.Name(), Credential: credentialStatus(c, now), Products: []ProductStatus{}}
	f := foldersOf(c.RunPath, c.Name())
	out.Shared = sharedStatus(c, f)
	for _, p := range c.Products {
		s, found, err := productStatus(c, f, p, now)
		if err != nil {
			return out, fmt.Errorf("%s of %s: %w", p, c.Name(), err)
		}
		out.Credential.learn(found, now)
		out.Products = append(out.Products, s)
	}
	return out, nil
}

func credentialStatus(c *Config, now time.Time) CredentialStatus {
	out := CredentialStatus{Type: c.Auth.Type}
	at, _ := c.Expires()
	out.ends(at, now)
	return out
}

func (s *CredentialStatus) ends(at, now time.Time) {
	s.Expires, s.Shown = at, expiryShown(at, now)
	s.Status, s.Message = expiryNotice(at, now)
}

// foundOut is what runs found out about the credential.
type foundOut struct {
	route   string
	expires time.Time
}

// learn adds what a run found out about the credential.
func (s *CredentialStatus) learn(f foundOut, now time.Time) {
	if kind := kindOf(s.Type, f.route); kind != "" {
		s.Kind = kind
	}
	if s.Expires.IsZero() {
		s.ends(f.expires, now)
	}
}

// kindOf is what the route that was found out tells of an API token.
func kindOf(t AuthType, route string) string {
	switch {
	case t != APIToken:
		return ""
	case route == "gateway":
		return "scoped"
	case route == "site":
		return "classic"
	}
	return ""
}

// known is what could be found out about a product's position.
type known struct {
	position     audit.Position
	source, note string
	running      bool
	// silent is how long a run in progress has written nothing.
	silent time.Duration
	// damage is set where the state cannot be read.
	damage error
}

// lookUp finds the position of a product, from the best source there is.
func lookUp(f folders, p audit.Product, last *LastRun, now time.Time) (known, error) {
	files := f.state(p)
	position, err := state.Peek(files, peekWait)
	out := known{position: position, source: "state"}
	switch {
	case err == nil:
		// What is no worth a write of the state, the last run says all the same.
		if last != nil && last.Position != nil && last.Position.LiveAt > position.LiveAt {
			out.position.LiveAt = last.Position.LiveAt
		}
		return out, nil
	case errors.Is(err, state.ErrBusy):
		out.running = true
		if info, err := os.Stat(files.State); err == nil {
			out.silent = now.Sub(info.ModTime())
		}
	case errors.Is(err, fs.ErrNotExist):
		out.source, out.note = "none", "nothing has been collected yet"
		return out, nil
	case errors.Is(err, state.ErrDamaged):
		out.damage = err
	default:
		return out, err
	}
	if last != nil && last.Position != nil {
		out.position, out.source = *last.Position, "last run"
		out.note = "this is what the run left behind that ended at " + last.Ended.UTC().Format(time.RFC3339)
	} else if position, at, err := state.PeekCopy(files); err == nil {
		out.position, out.source = position, "copy"
		out.note = "this is from the copy of the state of " + at.UTC().Format(time.RFC3339)
	} else {
		out.source, out.note = "none", "nothing is known of earlier runs"
	}
	if out.running {
		out.note = "a run is in progress: " + out.note
	}
	return out, nil
}

func productStatus(c *Config, f folders, p audit.Product, now time.Time) (s ProductStatus, found foundOut, err error) {
	s = ProductStatus{Product: p, Gaps: []Span{}, Act: []string{}}
	last, err := readLastRun(f.lastRun(p))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		if errors.Is(err, fs.ErrPermission) {
			return s, found, err
		}
		s.Note = err.Error()
	}
	k, err := lookUp(f, p, last, now)
	if err != nil {
		return s, found, err
	}
	s.Source, s.Running = k.source, k.running
	if k.note != "" {
		s.Note = k.note
	}
	s.place(k.position, now)
	if last != nil {
		s.LastRun = &LastRunStatus{Began: last.Began, Ended: last.Ended, Outcome: last.Outcome, Records: last.Records,
			Requests: last.Requests, Program: last.Program}
		if last.Outcome == OutcomeStandby {
			// What this machine read is no measure of what was read.
			s.LagSeconds = nil
			if s.Note = last.Waiting; s.Running {
				s.Note += "; a run is in progress"
			}
		}
		s.Failure = last.Failure
		s.CanConnect, s.IsCurrent = &last.CanConnect, &last.IsCurrent
	}
	if s.Undelivered, err = undeliveredOf(c, p, now); err != nil {
		return s, found, err
	}
	s.toDo(c, k, last, now)
	found.route = k.position.Route
	if last != nil {
		found.expires = last.Expires
	}
	return s, found, nil
}

// undeliveredOf is nil where it is not known what the Agent has delivered.
func undeliveredOf(c *Config, p audit.Product, now time.Time) (*Undelivered, error) {
	d, err := DeliveryOf(c, p, now)
	if err != nil {
		return nil, err
	}
	return undeliveredFrom(d.Standing, now), nil
}

// undeliveredFrom is nil where it is not known what the Agent has delivered.
func undeliveredFrom(d spool.Standing, now time.Time) *Undelivered {
	if !d.Known {
		return nil
	}
	out := &Undelivered{Bytes: d.Bytes, TakenOut: d.TakenOut}
	if !d.Since.IsZero() {
		out.AgeSeconds = max(0, now.Sub(d.Since).Seconds())
	}
	if !d.Oldest.IsZero() {
		out.DeliveredTo = &d.Oldest
	}
	for _, g := range d.GivenUp {
		out.GivenUp = append(out.GivenUp, g.Name)
	}
	return out
}

// place tells where a stream stands.
func (s *ProductStatus) place(p audit.Position, now time.Time) {
	if p.UpperSet {
		newest := moment(p.Upper)
		s.Newest = &newest
		if from, ok := coveredFrom(p); ok {
			top, _ := p.Covered.Last()
			s.Covered = &Span{moment(from), moment(top.To - 1)}
		}
		gaps := p.Covered.Gaps(audit.Interval{From: p.Floor, To: p.Upper + 1})
		for i := len(gaps) - 1; i >= 0; i-- {
			s.Gaps = append(s.Gaps, Span{moment(gaps[i].From), moment(gaps[i].To - 1)})
		}
	}
	for _, iv := range slices.Backward(p.History()) {
		s.History = append(s.History, Span{moment(iv.From), moment(iv.To - 1)})
	}
	if at := p.Present(); at != 0 {
		lag := max(0, now.Sub(time.UnixMilli(at)).Seconds())
		s.LagSeconds = &lag
	}
	if until := time.UnixMilli(p.WaitUntil); now.Before(until) && until.Sub(now) <= maxWait {
		s.Wait = &Wait{until.UTC(), p.WaitReason}
	}
}

// coveredFrom is from when on everything was read but for the gaps: where a backfill
// read on below the floor, from its lower end on.
func coveredFrom(p audit.Position) (int64, bool) {
	for _, iv := range p.Covered {
		if iv.To >= p.Floor {
			return iv.From, true
		}
	}
	return 0, false
}

// toDo says what a person must do.
func (s *ProductStatus) toDo(c *Config, k known, last *LastRun, now time.Time) {
	act := func(format string, args ...any) { s.Act = append(s.Act, fmt.Sprintf(format, args...)) }
	stale := staleAfter(c.Interval)
	switch {
	case k.running && k.silent > stale:
		act("a run holds the state and has written nothing for %s: find the process atlassian-audit-records that hangs, and end it: nothing is lost by it (%s)",
			k.silent.Round(time.Minute), CodeStuckRun)
	case k.running:
	case last == nil:
		act("no run has left anything behind: see in `datadog-agent status` that the Agent runs the check")
	case now.Sub(last.Ended) > stale:
		act("the check has not run since %s, although it is due every %s: %s",
			last.Ended.UTC().Format(time.RFC3339), spanned(c.Interval), lookAt(last.Registry, c.RunPath, " that the Agent runs it", " why, or start it"))
	}
	if k.damage != nil {
		act("%v: the next run puts its copy in its place; should it stay so, see its error (%s)", k.damage, CodeState)
	}
	if last == nil {
		return
	}
	failing := s.Failure != nil && !s.Failure.Over
	if failing && s.Failure.Person {
		act("%s", s.Failure.Error)
	}
	switch {
	case k.position.HiddenSince != 0:
		act("%s", withheld(k.position.HiddenSince))
	case last.IsCurrent.Status == StatusCritical && !(failing && s.Failure.Person):
		act("%s", last.IsCurrent.Message)
	case last.Outcome == OutcomePaused:
		act("%s", last.Waiting)
	}
}

func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
