package check

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/DataDog/datadog-agent/pkg/util/log"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/state"
)

const (
	// undeliveredAfter is how long lines may lie undelivered before somebody is told.
	undeliveredAfter = time.Hour
	// orphanAfter is how long a stream that is no instance's own must have been left
	// alone before another instance's run sees to its files. Nothing is appended
	// to a file for longer than a day.
	orphanAfter = 25 * time.Hour
	// latePart is the part of a run's time that spooling again may take.
	latePart = 3
	// renewRoom is what must be free on the disk for a file to be spooled again: the
	// old one is there until the new one is. Where less is, it waits; where the disk is
	// only lower than spool_min_free it does not, since Datadog would refuse it soon.
	renewRoom = 2 * spool.DefaultMaxSize
)

// registry is what is known of what the Agent has delivered.
type registry struct {
	// path is where the Agent's registry is looked for, err why it says nothing.
	path    string
	offsets spool.Offsets
	err     error
	// noAgent tells that there is none because no Agent reads logs here.
	noAgent bool
}

// registryPath is where the registry of the Agent that asks lies. Where nobody
// asks, as for a command, it is where the last run that somebody asked for
// found it.
func registryPath(a AgentInfo, runPath string, last *LastRun) string {
	if a.LogsRunPath == "" && a.RunPath == "" && last != nil && last.Registry != "" {
		return last.Registry
	}
	if a.RunPath != "" {
		runPath = a.RunPath
	}
	return agent.RegistryPath(a.LogsRunPath, runPath)
}

// ownRegistry is where the command run keeps the registry of what it has sent.
func ownRegistry(runPath string) string {
	return filepath.Join(agent.Base(runPath), "run", agent.RegistryName)
}

// lookAt tells a person where to see how sending gets on: with the Agent, or with
// the command run, where that keeps the registry.
func lookAt(registry, runPath, withAgent, withRun string) string {
	if registry == ownRegistry(runPath) {
		return "see in what `" + agentName + " run` logs" + withRun
	}
	return "see in `datadog-agent status`" + withAgent
}

func openRegistry(path string, a AgentInfo) registry {
	r := registry{path: path}
	known, err := agent.ReadRegistry(path)
	if err == nil {
		find := known.Finder()
		r.offsets = func(path string) (spool.Offset, bool) {
			e, ok := find(path)
			at := spool.Offset{Bytes: e.Offset, Touched: e.LastUpdated}
			if e.IngestionTimestamp > 0 {
				at.Read = time.Unix(0, e.IngestionTimestamp)
			}
			return at, ok
		}
		return r
	}
	r.err = err
	asked := a.Version != "" || a.RunPath != "" || a.LogsRunPath != ""
	r.noAgent = errors.Is(err, fs.ErrNotExist) && (!asked || a.LogsEnabled != nil && !*a.LogsEnabled)
	return r
}

// placesOf are the folders of a source's files.
func (f folders) placesOf(source string) spool.Folders {
	return spool.Folders{
		Spool: agent.SpoolDir(f.base, source), Late: agent.LateDir(f.base, source), Delivered: agent.DeliveredDir(f.base, source),
	}
}

// places are the folders of all sources that there are.
func (f folders) places() ([]spool.Folders, error) {
	entries, err := os.ReadDir(filepath.Join(f.base, "spool"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the spool: %w", err)
	}
	var out []spool.Folders
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, f.placesOf(e.Name()))
		}
	}
	return out, nil
}

// notes is where a little is remembered of the files of a product.
func (f folders) notes(p audit.Product) string {
	return filepath.Join(f.stateDir(), string(p)+".delivery.json")
}

// track looks at the files of a product.
// settle is how long an acknowledgement must stand to be shared; 0 where nothing is.
func (f folders) track(home string, p audit.Product, reg registry, interval, settle time.Duration, now func() time.Time) (*spool.Tracker, error) {
	nearing := spool.DefaultNearing
	if interval > 10*time.Minute {
		nearing = audit.LateAfter // or the next run but one would come too late
	}
	return spool.Track(spool.OS{}, f.placesOf(p.LogSource()), spool.TrackerOptions{
		Now: now, Owner: spool.Owner{Home: home, Product: p}, Offsets: reg.offsets, NoAgent: reg.noAgent,
		Notes: f.notes(p), Nearing: nearing, SettleAfter: settle,
	})
}

// settleDelivery brings out of the spool what the Agent has delivered. Nothing that
// fails here keeps records from being collected.
func (r *run) settleDelivery() {
	for _, s := range r.streams {
		if s.store == nil || !s.known {
			continue
		}
		if r.registry.path == "" {
			last, _ := readLastRun(r.folders.lastRun(s.product)) // what it says is only a hint
			r.registry = openRegistry(registryPath(r.options.Agent, r.config.RunPath, last), r.options.Agent)
		}
		t, err := r.folders.track(r.home(), s.product, r.registry, r.config.Interval, settleTime(r.config), r.options.Now)
		if err != nil {
			r.mishap(s.product, "look at the delivery", err)
			continue
		}
		s.tracker = t
		out, err := t.Settle(s.before.File)
		if err != nil {
			r.mishap(s.product, "bring delivered files out of the spool", err)
		}
		s.tracked(out)
		for _, g := range out.GivenUp {
			r.sender.Event(s.product, "warning", givenUpTitle,
				r.about(s.product, givenUpText(g, r.folders.placesOf(s.product.LogSource()).Delivered)),
				"atlassian_audit_records.given_up:"+r.config.Name()+":"+string(s.product))
		}
	}
}

// home names where the products run; see audit.Stream.
func (r *run) home() string { return r.config.Name() }

// about is a sentence about a product.
func (r *run) about(p audit.Product, text string) string {
	return fmt.Sprintf("%s of %s: %s", p, r.config.Name(), text)
}

// mishap tells what of the delivery did not work, and will be tried again.
func (r *run) mishap(p audit.Product, doing string, err error) {
	r.report.Warning(r.about(p, fmt.Sprintf("could not %s: %s; the next run tries again, and nothing is lost", doing, strings.ReplaceAll(err.Error(), "\n", "; "))))
}

func (s *stream) tracked(out spool.Outcome) {
	s.delivery.Delivered += out.Delivered
	s.delivery.Removed += out.Removed
	s.delivery.TakenOut += out.TakenOut
	s.delivery.Renewed += out.Renewed
	s.delivery.Late += out.Late
}

const givenUpTitle = "Atlassian audit records: lines were never acknowledged"

func givenUpText(g spool.GivenUp, folder string) string {
	return withCode(fmt.Sprintf("the last %d bytes of a spool file were not acknowledged by the Agent in a day, although lines that it read later were: processing rules of the `logs:` section probably "+
		"exclude them; the file is kept for a day in %s", g.Bytes, filepath.Join(folder, g.Name)), CodeUndelivered)
}

// renewDelivery sees to lines that lie undelivered for too long. It comes behind
// the completion of the last batch, so that each file is whole.
func (r *run) renewDelivery(soft time.Time) {
	end := r.began.Add(soft.Sub(r.began) / latePart)
	for _, s := range r.streams {
		if s.tracker == nil || s.collector == nil || s.err != nil {
			continue
		}
		if s.waited {
			if err := s.tracker.Look(); err != nil {
				r.mishap(s.product, "look at the delivery", err)
				continue
			}
		}
		var broken error
		out, err := s.tracker.Renew(s.collector.Position().File, func() error {
			broken = s.collector.NewFile()
			return broken
		}, func() bool { return r.cramped() || r.options.Now().After(end) })
		s.tracked(out)
		switch {
		case broken != nil:
			s.err = r.local(s, broken)
		case err != nil:
			r.mishap(s.product, "spool again what lies undelivered for too long", err)
		}
		if out.Renewed > 0 {
			r.report.Log("warning", r.about(s.product, fmt.Sprintf("lines were not delivered for so long that they were spooled again, %d of them as late", out.Late)))
		}
	}
	r.adopt()
}

// cramped reports whether the disk is too full even to spool a file again.
func (r *run) cramped() bool {
	free, err := r.options.FreeSpace(r.folders.base)
	return err != nil || free < min(renewRoom, r.config.SpoolMinFree)
}

// lookAtDelivery tells how far the lines are on their way, before new ones come.
func (r *run) lookAtDelivery() {
	for _, s := range r.streams {
		if s.tracker == nil {
			continue
		}
		standing, err := s.tracker.Standing()
		if err == nil {
			s.undelivered = undeliveredFrom(standing, r.options.Now())
			s.look = lookAt(r.registry.path, r.config.RunPath, ", under Logs Agent,", "")
			err = s.tracker.Save()
		}
		if err != nil {
			r.mishap(s.product, "look into the spool", err)
			continue
		}
		folder := r.folders.placesOf(s.product.LogSource())
		for _, g := range standing.GivenUp {
			r.report.Warning(r.about(s.product, givenUpText(g, folder.Delivered)))
		}
		if text := r.undelivered(standing, folder.Spool); text != "" {
			r.report.Warning(r.about(s.product, text))
		}
	}
}

// undelivered is a sentence where lines lie in the spool for too long, and an
// Agent should have delivered them.
func (r *run) undelivered(s spool.Standing, folder string) string {
	if s.Bytes == 0 || r.options.Now().Sub(s.Since) < undeliveredAfter || r.registry.noAgent {
		return ""
	}
	since := s.Since.UTC().Format(time.RFC3339)
	if !s.Known {
		return withCode(fmt.Sprintf("%d bytes lie in the spool since %s and before, and it is not known whether the Agent has delivered them: %v", s.Bytes, since, r.registry.err), CodeUndelivered)
	}
	return withCode(fmt.Sprintf("%d bytes lie in the spool undelivered, the oldest since %s: %s that it follows %s and reaches Datadog",
		s.Bytes, since, lookAt(r.registry.path, r.config.RunPath, ", under Logs Agent,", ""), filepath.Join(folder, "*.jsonl")), CodeUndelivered)
}

// adopt sees to the files of streams that no instance collects any more. Of those
// that another instance collects, or may collect, it keeps away: it takes only
// what nobody has touched for a day, and takes the stream's lock.
func (r *run) adopt() {
	places, err := r.folders.places()
	if err != nil {
		return // the next run tells, where it opens the spool
	}
	for _, place := range places {
		owners, err := place.Left(spool.OS{}, r.options.Now().Add(-orphanAfter))
		if err != nil {
			log.Debugf("look for files that nobody sees to: %v", err)
			continue
		}
		for _, o := range owners {
			if o.Home == r.home() && slices.Contains(r.config.Products, o.Product) || o.Product.LogSource() != filepath.Base(place.Spool) {
				continue
			}
			if err := r.adoptOne(o); err != nil {
				log.Debugf("see to the files of %s of %s, which nobody collects: %v", o.Product, o.Home, err)
			}
		}
	}
}

func (r *run) adoptOne(o spool.Owner) error {
	f := foldersOf(r.config.RunPath, o.Home)
	files := f.state(o.Product)
	if info, err := os.Lstat(files.State); err == nil && r.options.Now().Sub(info.ModTime()) < orphanAfter {
		return nil // somebody collects it
	}
	if err := agent.SecureDir(f.runPath, f.stateDir()); err != nil {
		return err
	}
	lock, err := state.Lock(files, 0)
	if err != nil {
		return err
	}
	defer lock.Close() // nothing was written to it
	// What its last run left behind, which may have been killed.
	retireErr := state.Retire(files, func(b audit.Batch) (bool, error) {
		dir, err := f.spool(o.Product, r.options, true)
		if err != nil {
			return false, err
		}
		_, rest, err := dir.Recover(b)
		return len(rest) == 0, err
	})
	t, err := f.track(o.Home, o.Product, r.registry, r.config.Interval, settleTime(r.config), r.options.Now)
	if err != nil {
		return errors.Join(retireErr, err)
	}
	out, settleErr := t.Settle("")
	for _, g := range out.GivenUp {
		r.tellOrphan(o, g)
	}
	_, renewErr := t.Renew("", func() error { return nil }, r.cramped)
	return errors.Join(retireErr, settleErr, renewErr, t.Save())
}

// tellOrphan tells, once, of lines that were given up and that no instance is
// about any more.
func (r *run) tellOrphan(o spool.Owner, g spool.GivenUp) {
	text := fmt.Sprintf("%s of %s, which no instance collects any more: %s", o.Product, o.Home,
		givenUpText(g, r.folders.placesOf(o.Product.LogSource()).Delivered))
	host, _, _ := strings.Cut(o.Home, "/")
	tag := "site:" + host
	if o.Product == audit.Organization {
		tag = "organization:" + host
	}
	r.report.Event(Event{Title: givenUpTitle, Text: text, AlertType: "warning", Tags: append(slices.Clone(r.config.Tags), tag, "product:"+string(o.Product)),
		AggregationKey: "atlassian_audit_records.given_up:" + o.Home + ":" + string(o.Product)})
	r.report.Warning(text)
}

// A Delivery is how far a product's lines are on their way, for status.
type Delivery struct {
	spool.Standing
	// Registry is where the Agent's registry is looked for, and Reason why
	// nothing is known; empty where something is.
	Registry string
	Reason   string
}

// DeliveryOf looks at a product's files and changes nothing; it needs no lock.
func DeliveryOf(c *Config, p audit.Product, now time.Time) (Delivery, error) {
	f := foldersOf(c.RunPath, c.Name())
	last, _ := readLastRun(f.lastRun(p)) // what it says is only a hint
	reg := openRegistry(registryPath(AgentInfo{}, c.RunPath, last), AgentInfo{})
	t, err := f.track(c.Name(), p, reg, c.Interval, settleTime(c), func() time.Time { return now })
	if err != nil {
		return Delivery{}, err
	}
	standing, err := t.Standing()
	out := Delivery{Standing: standing, Registry: reg.path}
	if reg.err != nil {
		out.Reason = reg.err.Error()
	}
	return out, err
}
