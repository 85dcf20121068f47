package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/DataDog/datadog-agent/comp/logs/agent/config"
	"github.com/DataDog/datadog-agent/pkg/logs/message"
	"github.com/DataDog/datadog-agent/pkg/util/log"

	"atlassian_audit_records/cmd/atlassian-audit-records-run/internal/ledger"
	"atlassian_audit_records/cmd/atlassian-audit-records-run/internal/pipeline"
	"atlassian_audit_records/cmd/atlassian-audit-records-run/internal/schedule"
	"atlassian_audit_records/cmd/atlassian-audit-records-run/internal/tail"
	"atlassian_audit_records/pkg/agent"
)

const (
	// drain is how long what was read may take to be acknowledged, once it is told
	// to stop; with the grace of the pipeline and the last write it is below the 5
	// seconds that are promised.
	drain = 3500 * time.Millisecond
	// lookout is the time between two looks for an Agent that sends the same files.
	lookout = 30 * time.Second
	// firstLook is how long the first runs of the check may hold up sending: more than
	// a run takes.
	firstLook = 90 * time.Second
	// refresh is the shortest time between two questions to the secret backend.
	refresh = time.Minute
	// maxPeriod bounds the time between two looks at the spool.
	maxPeriod = time.Second
)

// run is the command, from the configuration to the end.
func run(ctx context.Context, f flags) (err error) {
	setupLog("warn") // what the Agent's modules tell of their start is of no interest
	s, err := readSettings(ctx, f)
	if ctx.Err() != nil {
		return nil // told to stop before anything began, perhaps while the secret backend was asked
	}
	if err != nil {
		return err
	}
	setupLog(s.agent.GetString("log_level"))
	for _, w := range s.warnings {
		log.Warnf("%s", w)
	}
	if err := agent.SecureDir(s.runPath, s.folder); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(s.folder, "lock"), flock.SetPermissions(0o600))
	ours, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("take the lock of %s: %w", s.folder, err)
	}
	if !ours {
		return fmt.Errorf("another `atlassian-audit-records run` sends the spool in %s: stop it first, or give this one another --run-path", agent.Base(s.runPath))
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	rival, err := s.lookForRival()
	if err != nil {
		return err
	}
	book, aside, err := ledger.Open(filepath.Join(s.folder, agent.RegistryName), time.Now)
	if err != nil {
		return err
	}
	if aside != "" {
		log.Errorf("the registry of what was sent could not be read and is kept as %s: everything in the spool is sent once more", aside)
	}
	return serve(ctx, s, book, rival)
}

// serve collects and sends until ctx ends, or an Agent is found to send too.
func serve(ctx context.Context, s *settings, book *ledger.Ledger, rival agent.Rival) error {
	rules, err := config.GlobalProcessingRules(s.agent)
	if err != nil {
		return fmt.Errorf("logs_config.processing_rules: %w", err)
	}
	line := pipeline.New(pipeline.Options{
		Config: s.agent, Endpoints: s.endpoints, Rules: rules, Hostname: s.hostname,
		Acknowledge: func(metas []*message.MessageMetadata) {
			tail.Acknowledge(book, metas)
			save(book)
		},
		Refused: s.refresher(),
	})
	tailer := tail.New(tail.Options{
		Sources: s.sources, Ledger: book, In: line.In(), Judge: line.Judge, Now: time.Now,
		Period: min(maxPeriod, max(100*time.Millisecond, time.Duration(s.agent.GetFloat64("logs_config.file_scan_period")*float64(time.Second)))),
		Begin: func(path string) int64 {
			if e, ok := rival.Registry.Lookup(path); ok {
				log.Infof("%s was sent up to byte %d by an Agent: going on from there", path, e.Offset)
				return e.Offset
			}
			return 0
		},
	})
	save(book) // a run of the check that finds no registry would say so
	line.Start()
	log.Infof("collecting %d instances, and sending to %s", len(s.jobs), s.endpoints.Main.Host)

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var working sync.WaitGroup
	// What lay undelivered until its date is too old for Datadog is taken out by
	// the first run of the check: nothing is read before that.
	looked := make(chan struct{})
	working.Go(func() {
		r := schedule.Runner{Program: s.program, Env: schedule.Environment(os.Environ()), Report: newReporter(time.Now).report}
		r.Run(ctx, s.jobs, func() { close(looked) })
	})
	working.Go(func() {
		late := time.NewTimer(firstLook)
		defer late.Stop()
		select {
		case <-looked:
		case <-late.C:
		}
		tailer.Run(ctx)
	})
	working.Go(func() { s.watch(ctx, stop) })
	<-ctx.Done()

	log.Infof("stopping: what was read is sent")
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	gone := make(chan struct{})
	go func() {
		working.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		line.Stop(deadline, func() (bool, <-chan struct{}) {
			left, changed := book.Pending()
			return left == 0, changed
		})
	case <-deadline.Done(): // a disk that hangs: nothing may be stopped under the tailer's hands
	}
	if left, _ := book.Pending(); left > 0 {
		log.Warnf("%d bytes of what was read are not acknowledged yet: the next `run` sends them", left)
	}
	err = book.Save()
	log.Flush()
	if rival := (*rivalError)(nil); errors.As(context.Cause(ctx), &rival) {
		err = errors.Join(rival, err)
	}
	return err
}

// save notes what was acknowledged.
func save(book *ledger.Ledger) {
	if err := book.Save(); err != nil {
		log.Errorf("what was sent cannot be noted, so that it would be sent again after a restart: %v; make space on the disk of the run path, or mend its rights", err)
	}
}

// refresher asks the secret backend again when an intake refuses everything: the
// API key may have been changed there.
func (s *settings) refresher() func(context.Context) {
	var mu sync.Mutex
	var last time.Time
	return func(context.Context) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(last) < refresh {
			return
		}
		last = time.Now()
		said, err := s.secrets.Refresh(true)
		if err != nil {
			log.Errorf("ask for the API key again: %v", err)
			return
		}
		log.Infof("asked the secret backend again: %s", said)
	}
}

// rivalError says that an Agent sends the same files.
type rivalError struct{ what string }

func (e *rivalError) Error() string {
	return e.what + ": every record would be sent twice; stop the Agent, take the check out of its conf.d, or let it do the work alone"
}

// lookForRival finds an Agent that sends the same files. That of one which does
// not run is returned: what it has sent needs not be sent again.
func (s *settings) lookForRival() (agent.Rival, error) {
	var stopped agent.Rival
	for _, path := range s.registries {
		r, err := agent.LookForRival(path, s.spool, time.Now())
		switch {
		case errors.Is(err, fs.ErrPermission):
			log.Warnf("%v: it is not known whether an Agent sends these files too", err)
		case err != nil:
			return agent.Rival{}, err
		case r.Running && r.File != "":
			return agent.Rival{}, &rivalError{fmt.Sprintf("an Agent runs and follows the same spool (%s has %s)", path, r.File)}
		case r.Running && s.agentsOwn():
			return agent.Rival{}, &rivalError{fmt.Sprintf("an Agent runs (%s is being written) and has this check in its conf.d (%s)", path, s.agentConf)}
		case r.File != "":
			stopped = r
		}
	}
	return stopped, nil
}

// agentsOwn reports whether the Agent's conf.d has a configuration of this check
// whose logs section follows this spool.
func (s *settings) agentsOwn() bool {
	texts, err := readTexts(s.agentConf)
	if err != nil {
		return false // there is none, or it is not to be read by this user
	}
	for _, t := range texts {
		entries, err := config.ParseYAML(t.YAML)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if rel, err := filepath.Rel(s.spool, e.Path); err == nil && filepath.IsLocal(rel) {
				return true
			}
		}
	}
	return false
}

// watch goes on looking for an Agent: one that is started later reads the same
// files from their beginning.
func (s *settings) watch(ctx context.Context, stop context.CancelCauseFunc) {
	tick := time.NewTicker(lookout)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		_, err := s.lookForRival()
		if rival := (*rivalError)(nil); errors.As(err, &rival) {
			stop(err)
			return
		}
		if err != nil {
			log.Warnf("%v", err)
		}
	}
}
