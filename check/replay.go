package check

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/state"
)

// replayLock is how long a run in progress is waited for.
const replayLock = 40 * time.Second

// ReplaySpan is which delivered lines are to be sent once more: those that were
// spooled between the two times. Again includes what a replay put back before.
type ReplaySpan struct {
	Since, Until time.Time
	Again        bool
}

// ReplayResult is what a replay of one product would send, or did.
type ReplayResult struct {
	// Instance is the site's host, and its context path where it has one.
	Instance string        `json:"instance"`
	Product  audit.Product `json:"product"`
	// Records are in Files parts of files with Bytes bytes. Late of them were not
	// late at first.
	Records int   `json:"records"`
	Late    int   `json:"late"`
	Files   int   `json:"files"`
	Bytes   int64 `json:"bytes"`
	// SpooledFrom and SpooledTo are when they were spooled, as far as is known, Oldest and
	// Newest the dates of the records; nil where there is none.
	SpooledFrom *time.Time `json:"spooled_from"`
	SpooledTo   *time.Time `json:"spooled_to"`
	Oldest      *time.Time `json:"oldest_record"`
	Newest      *time.Time `json:"newest_record"`
	// ReplayedBefore records of the span are left out, because they were put back
	// before, the last of them at ReplayedAt.
	ReplayedBefore int        `json:"replayed_before"`
	ReplayedAt     *time.Time `json:"replayed_at"`
	// Done is true once the records are in the spool again.
	Done bool `json:"done"`
}

// replays is where it is remembered what of a product was put back.
func (f folders) replays(p audit.Product) string {
	return filepath.Join(f.stateDir(), string(p)+".replayed.json")
}

// Replay looks what of a product's delivered lines the span holds and, where do is
// set, puts them back into the spool. It waits for a run in progress to end.
func Replay(c *Config, p audit.Product, span ReplaySpan, o Options, do bool) (out ReplayResult, err error) {
	o = o.withDefaults()
	out = ReplayResult{Instance: c.Name(), Product: p}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s of %s: %w", p, c.Name(), err)
		}
	}()
	f := foldersOf(c.RunPath, c.Name())
	if err := f.secure(); err != nil {
		return out, err
	}
	lock, err := state.Lock(f.state(p), replayLock)
	if errors.Is(err, state.ErrBusy) {
		return out, errors.New("another run is in progress: try again when it has ended")
	}
	if err != nil {
		return out, err
	}
	defer lock.Close()                   // nothing was written to it
	last, _ := readLastRun(f.lastRun(p)) // what it says is only a hint
	reg := openRegistry(registryPath(o.Agent, c.RunPath, last), o.Agent)
	t, err := f.track(c.Name(), p, reg, c.Interval, settleTime(c), o.Now)
	if err != nil {
		return out, err
	}
	found, err := t.FindReplay(span.Since, span.Until, f.replays(p), span.Again)
	if err != nil {
		return out, err
	}
	out.add(found)
	if !do || out.Records == 0 {
		return out, nil
	}
	if err := f.roomFor(c, reg, o, out.Bytes); err != nil {
		return out, err
	}
	if err := t.Replay(found, f.replays(p), rand.Uint64); err != nil {
		return out, err
	}
	out.Done = true
	return out, t.Save()
}

// add counts what was found.
func (r *ReplayResult) add(found spool.Replay) {
	r.Bytes = found.Bytes()
	earlier := func(to **time.Time, at time.Time) {
		if !at.IsZero() && (*to == nil || at.Before(**to)) {
			*to = &at
		}
	}
	later := func(to **time.Time, at time.Time) {
		if !at.IsZero() && (*to == nil || at.After(**to)) {
			*to = &at
		}
	}
	for _, p := range found.Parts {
		r.Files++
		r.Records += p.Lines
		r.Late += p.Late
		earlier(&r.SpooledFrom, p.Began)
		later(&r.SpooledTo, p.Ended)
		earlier(&r.Oldest, p.Oldest)
		later(&r.Newest, p.Newest)
	}
	for _, p := range found.Before {
		r.ReplayedBefore += p.Lines
		later(&r.ReplayedAt, p.Replayed)
	}
}

// roomFor refuses what would not fit.
func (f folders) roomFor(c *Config, reg registry, o Options, bytes int64) error {
	places, err := f.places()
	if err != nil {
		return err
	}
	held := bytes
	for _, p := range places {
		n, err := p.Held(spool.OS{}, reg.offsets)
		if err != nil {
			return err
		}
		held += n
	}
	if held > c.SpoolMaxSize {
		return fmt.Errorf("with these %d bytes the spool would hold %d undelivered ones, and spool_max_size is %s: choose a shorter span, or wait until the Agent has delivered what is there", bytes, held, sized(c.SpoolMaxSize))
	}
	free, err := o.FreeSpace(agent.Base(c.RunPath))
	if err == nil && free-bytes < c.SpoolMinFree {
		err = fmt.Errorf("with these %d bytes less than spool_min_free (%s) would be free on the disk: free some space", bytes, sized(c.SpoolMinFree))
	}
	return err
}
