package check

import (
	"context"
	"errors"
	"fmt"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
)

// errNoRoom ends reading where the spool or the disk is full: nothing failed, and
// the next run goes on.
var errNoRoom = errors.New("there is no room for more records")

// room is what may still be written in this run.
type room struct {
	// begun is the size of the spool when the run began, and left how much it may grow.
	begun, left int64
}

// roomOfPage is what the spool can grow by while one page is read: the lines of a
// page, which is 8 MiB at most, in each of the four runs that an Agent does at a time.
const roomOfPage = 4 * (16 << 20)

// pagesIn is how many pages surely fit into so many bytes: for so long nobody needs
// to ask for the size of the spool, which takes the longer the more sites there are.
func pagesIn(bytes int64) int64 { return max(0, bytes/roomOfPage-1) }

// usage is what the files of all sources take.
func (f folders) usage() (u spool.Usage, places []spool.Folders, err error) {
	places, err = f.places()
	for _, p := range places {
		if err != nil {
			break
		}
		var one spool.Usage
		one, err = p.Usage(spool.OS{})
		u.Spooled += one.Spooled
		u.Delivered += one.Delivered
	}
	if err != nil {
		return spool.Usage{}, nil, fmt.Errorf("ask for the size of the spool: %w", err)
	}
	return u, places, nil
}

// pause stops all products while the spool or the disk is full. What is
// delivered makes room first.
func (r *run) pause() {
	u, places, err := r.folders.usage()
	if err == nil {
		err = r.makeRoom(&u, places)
	}
	if err != nil {
		r.fail(err)
		return
	}
	r.sender.Metric(MetricSpoolSize, "", float64(u.Spooled+u.Delivered))
	held := u.Spooled
	if held >= r.config.SpoolMaxSize { // what is delivered of files that stay does not count
		if held, err = r.held(places); err != nil {
			r.fail(err)
			return
		}
	}
	r.room = room{begun: u.Spooled, left: r.config.SpoolMaxSize - held}
	r.pagesLeft.Store(pagesIn(r.room.left))
	switch free, err := r.options.FreeSpace(r.folders.base); {
	case err != nil:
		r.fail(err)
	case free < r.config.SpoolMinFree:
		r.full(r.diskText(free))
	case r.room.left <= 0:
		r.full(r.spoolText(held))
	}
}

// held is what the files of the places hold and the Agent has not delivered.
func (r *run) held(places []spool.Folders) (n int64, err error) {
	for _, p := range places {
		one, err := p.Held(spool.OS{}, r.registry.offsets)
		if err != nil {
			return 0, err
		}
		n += one
	}
	return n, nil
}

// makeRoom removes delivered files where the spool or the disk is full.
func (r *run) makeRoom(u *spool.Usage, places []spool.Folders) error {
	free, err := r.options.FreeSpace(r.folders.base)
	if err != nil {
		return err
	}
	want := max(u.Spooled+u.Delivered-r.config.SpoolMaxSize+1, r.config.SpoolMinFree-free)
	if want <= 0 || u.Delivered == 0 {
		return nil
	}
	freed, err := spool.MakeRoom(spool.OS{}, places, want)
	u.Delivered -= freed
	return err
}

func (r *run) spoolText(held int64) string {
	return withCode(fmt.Sprintf("collection is paused: the spool in %s holds %d bytes, and spool_max_size is %s: %s, "+
		"or raise spool_max_size; nothing is lost: Atlassian keeps the records, and collection goes on by itself once they are delivered",
		r.folders.base, held, sized(r.config.SpoolMaxSize), lookAt(r.registry.path, r.config.RunPath, " that the Agent delivers its logs", " why they are not sent")), CodeSpoolFull)
}

func (r *run) diskText(free int64) string {
	return withCode(fmt.Sprintf("collection is paused: the disk of %s has %d bytes free, and spool_min_free is %s: free some space, or lower spool_min_free; "+
		"nothing is lost: Atlassian keeps the records, and collection goes on by itself once there is room",
		r.folders.base, free, sized(r.config.SpoolMinFree)), CodeDiskFull)
}

// full pauses every product that could go on.
func (r *run) full(text string) {
	r.report.Warning(text)
	for _, s := range r.streams {
		if s.ready() {
			s.idle, s.paused = text, true
		}
	}
}

// hasRoom is asked before each page: a backfill fills a disk within one run.
func (r *run) hasRoom() error {
	free, err := r.options.FreeSpace(r.folders.base)
	if err != nil {
		return err
	}
	if free < r.config.SpoolMinFree {
		return errNoRoom
	}
	if r.pagesLeft.Add(-1) >= 0 {
		return nil
	}
	u, places, err := r.folders.usage()
	if err != nil {
		return err
	}
	// What is delivered makes room in the midst of a run, too: one that catches up
	// writes as much again as the spool may hold.
	if err := r.makeRoom(&u, places); err != nil {
		return err
	}
	left := r.room.left - (u.Spooled - r.room.begun)
	if left <= 0 {
		return errNoRoom
	}
	r.pagesLeft.Store(pagesIn(left))
	return nil
}

// filled pauses the products in the midst of a run.
func (r *run) filled() {
	free, err := r.options.FreeSpace(r.folders.base)
	if err == nil && free < r.config.SpoolMinFree {
		r.full(r.diskText(free))
		return
	}
	r.full(r.spoolText(r.config.SpoolMaxSize))
}

// roomy asks only while there is room for what is answered.
func (s *source) roomy(ctx context.Context, q audit.Query, ask func(context.Context, audit.Query) (audit.Page, error)) (audit.Page, error) {
	if err := s.room(); err != nil {
		return audit.Page{}, err
	}
	return ask(ctx, q)
}
